//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the gateway (the default).
    #[default]
    Serve,
    /// Run the gateway with a simulated PBX: nothing else is needed, nothing is dialled.
    Demo(Faults),
    /// Run only the simulated PBX: Asterisk's REST and events, PAC, and 3CX's CDRs, on loopback ports.
    Simulate(Faults),
    /// Check the settings and try each integration, then end.
    Check,
    /// Print the OpenAPI document of every route.
    Openapi,
}

/// How well the simulated PBX does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct Faults {
    /// Have the PBX misbehave, one way after the other, and say so.
    #[arg(long)]
    pub faults: bool,
}

impl Cli {
    /// What to do.
    #[must_use]
    pub fn action(&self) -> Command {
        self.command.unwrap_or_default()
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
        assert_eq!(
            parse("mege-gateway demo").action(),
            Command::Demo(Faults::default())
        );
        assert_eq!(
            parse("mege-gateway simulate").action(),
            Command::Simulate(Faults::default())
        );
        let faults = Faults { faults: true };
        assert_eq!(
            parse("mege-gateway demo --faults").action(),
            Command::Demo(faults)
        );
        assert_eq!(parse("mege-gateway check").action(), Command::Check);
        assert_eq!(parse("mege-gateway openapi").action(), Command::Openapi);
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
            "mege-gateway check --faults",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
