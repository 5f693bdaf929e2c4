//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{BackfillArguments, IntegrationsArguments, KeysCommand, LoadArguments};

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
    Demo(Faults),
    /// Run only the simulated PBX: Asterisk's REST and events, PAC, and 3CX's CDRs, on loopback ports.
    Simulate {
        /// How well it does.
        #[command(flatten)]
        faults: Faults,
        /// The port of ARI; 0 takes a free one.
        #[arg(long, value_name = "PORT", default_value_t = 8088)]
        ari_port: u16,
        /// The port of PAC; 0 takes a free one.
        #[arg(long, value_name = "PORT", default_value_t = 2838)]
        pac_port: u16,
    },
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
    /// Place calls through a running gateway at a constant rate and say how each was answered, to size an installation.
    ///
    /// These are calls on whatever PBX that gateway has: take numbers that are meant for it.
    Load(LoadArguments),
    /// Show how the integrations of a running gateway do, and restart, pause or resume one: asks it over HTTP, with a key
    /// that has the scope admin.
    Integrations(IntegrationsArguments),
    /// Make, list and revoke API keys, in the ledger that the settings name; no gateway needs to run.
    #[command(subcommand)]
    Keys(KeysCommand),
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
    fn each_command_is_told_by_its_name_and_serve_is_the_default() {
        assert_eq!(parse("mege-gateway").action(), Command::Serve);
        assert_eq!(parse("mege-gateway serve").action(), Command::Serve);
        assert_eq!(
            parse("mege-gateway demo").action(),
            Command::Demo(Faults::default())
        );
        let simulate = Command::Simulate {
            faults: Faults::default(),
            ari_port: 8088,
            pac_port: 2838,
        };
        assert_eq!(parse("mege-gateway simulate").action(), simulate);
        let faults = Faults { faults: true };
        assert_eq!(
            parse("mege-gateway demo --faults").action(),
            Command::Demo(faults)
        );
        assert_eq!(parse("mege-gateway check").action(), Command::Check);
        assert_eq!(parse("mege-gateway openapi").action(), Command::Openapi);
        assert_eq!(
            parse("mege-gateway keys list").action(),
            Command::Keys(KeysCommand::List)
        );
        assert_eq!(parse("mege-gateway migrate").action(), Command::Migrate);
        for line in [
            "",
            " show cdr",
            " restart pac.main --url http://127.0.0.1:3000",
            " --json pause cdr",
            " resume cdr --json",
        ] {
            let integrations = parse(&format!("mege-gateway integrations{line}"));
            assert!(
                matches!(integrations.action(), Command::Integrations(_)),
                "{line}"
            );
        }
        let backfill =
            parse("mege-gateway backfill --pbx office --from 2026-02-01 --until 2026-02-10T08:00:00Z");
        assert!(matches!(backfill.action(), Command::Backfill(_)));
        let load = parse("mege-gateway load --extension 102 --answer 79102223311 --busy 7 --busy-share 20");
        assert!(matches!(load.action(), Command::Load(_)));
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
            "mege-gateway check --faults",
            "mege-gateway load",
            "mege-gateway load --extension 102",
            "mege-gateway load --extension 102 --answer 79102223311 --busy-share 20",
            "mege-gateway load --extension 102 --answer 79102223311 --rate 0",
            "mege-gateway integrations restart",
            "mege-gateway integrations stop cdr",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
