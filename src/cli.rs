//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::command::BackfillArguments;

/// One gateway between call-centre software and a company's PBXs: 3CX and Asterisk.
///
/// Settings come from the built-in defaults, config/PROFILE.toml, --config, .env and the environment, each over those
/// before it.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do; `serve` when nothing is said.
    #[command(subcommand)]
    command: Option<Command>,
    /// A TOML file with settings, over those of config/PROFILE.toml.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What the program does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the gateway (the default).
    #[default]
    Serve,
    /// Run the gateway with a simulated PBX: nothing else is needed, nothing is dialled.
    Demo,
    /// Run only the simulated PBX: Asterisk's REST and events, PAC, and 3CX's CDRs, on loopback ports.
    Simulate,
    /// Check the settings and try each integration, then end.
    Check,
    /// Print the OpenAPI document of every route.
    Openapi,
    /// Bring the stores' schemas up to date, as a start does, then end.
    Migrate,
    /// Collect the CDRs and recordings of a range from a 3CX now, beside a gateway that may run on the same store.
    ///
    /// Ended early, even killed, the same command goes on where it was.
    Backfill(BackfillArguments),
}

impl Cli {
    /// What to do.
    #[must_use]
    pub fn action(&self) -> Command {
        self.command.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serves_when_nothing_else_is_said() {
        assert_eq!(parse("mege-gateway").action(), Command::Serve);
        assert_eq!(parse("mege-gateway serve").action(), Command::Serve);
        assert_eq!(parse("mege-gateway demo").action(), Command::Demo);
        assert_eq!(parse("mege-gateway simulate").action(), Command::Simulate);
        assert_eq!(parse("mege-gateway check").action(), Command::Check);
        assert_eq!(parse("mege-gateway openapi").action(), Command::Openapi);
        assert_eq!(parse("mege-gateway migrate").action(), Command::Migrate);
        let backfill =
            parse("mege-gateway backfill --pbx office --from 2026-02-01 --until 2026-02-10T08:00:00Z");
        assert!(matches!(backfill.action(), Command::Backfill(_)));
    }

    #[test]
    fn takes_a_file_before_and_after_the_command() {
        for line in [
            "mege-gateway --config a.toml check",
            "mege-gateway check --config a.toml",
        ] {
            let cli = parse(line);
            assert_eq!(
                (cli.action(), cli.config),
                (Command::Check, Some("a.toml".into()))
            );
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in [
            "mege-gateway dance",
            "mege-gateway --colour",
            "mege-gateway check --config",
            "mege-gateway backfill --from yesterday",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
