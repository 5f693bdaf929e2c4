//! The command line's entry.

use std::process::ExitCode;

use clap::Parser as _;
use mege_gateway::cli::{Cli, Command, Faults};
use mege_gateway::command;

/// ADR 25.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Where the kernel gives them unasked, a program at rest takes twice the memory (ADR 25). Without this it works as well.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    run()
}

#[actix_web::main]
async fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.action() {
        Command::Serve => command::serve(cli.config).await,
        Command::Demo(Faults { faults }) => command::demo(cli.config, faults).await,
        Command::Simulate {
            faults,
            ari_port,
            pac_port,
        } => command::simulate(faults.faults, ari_port, pac_port).await,
        Command::Check => command::check(cli.config).await,
        Command::Openapi => command::openapi(cli.config),
        Command::Keys(what) => command::keys(cli.config, what).await,
        Command::Integrations(what) => command::integrations(cli.config, what).await,
        Command::Migrate => command::migrate(cli.config).await,
        Command::Backfill(range) => command::backfill(cli.config, range).await,
        Command::Load(what) => command::load(cli.config, what).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
