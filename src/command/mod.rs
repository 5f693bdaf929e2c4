//! What each command of the program does.

mod backfill;
mod check;
mod demo;
mod gateway_client;
mod integrations;
mod keys;
mod load;
mod migrate;
mod openapi;
mod serve;
mod simulate;
mod stop;

use std::io::{self, Write as _};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

pub use backfill::{BackfillArguments, BackfillError, backfill};
pub use check::check;
pub use demo::demo;
pub use gateway_client::{GatewayArguments, GatewayClientError};
pub use integrations::{IntegrationsArguments, IntegrationsError, integrations};
pub use keys::{KeysCommand, keys};
pub use load::{LoadArguments, load};
pub use migrate::migrate;
pub use openapi::openapi;
pub use serve::serve;
pub use simulate::simulate;

use self::stop::stop;
use crate::actor::AskError;
use crate::ledger::key::{InvalidKey, KeyError};
use crate::printable;
use crate::settings::{Settings, SettingsError, Sources};
use crate::startup::StartError;
use crate::telemetry::TelemetryError;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The gateway could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Logs or metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A key that is asked for cannot be.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// The ledger cannot be used; why.
    #[error("the ledger cannot be used: {0}")]
    Ledger(String),
    /// Something about keys was not done.
    #[error(transparent)]
    Keys(#[from] AskError<KeyError>),
    /// Something that was checked does not work; what, was printed.
    #[error("not everything works")]
    Check,
    /// A store could not be brought up to date; which, was printed.
    #[error("not every store is up to date")]
    Migrate,
    /// A backfill was not done to its end.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// A running gateway cannot be asked.
    #[error(transparent)]
    Gateway(#[from] GatewayClientError),
    /// Something about integrations was not done.
    #[error(transparent)]
    Integrations(#[from] IntegrationsError),
}

impl CommandError {
    /// The program's exit code: 2 where the command line or the settings are wrong, 130 for a signal, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::InvalidKey(_)
            | Self::Start(StartError::Tls(_) | StartError::NoKeys(_))
            | Self::Backfill(BackfillError::Pbx(_) | BackfillError::Range)
            | Self::Gateway(
                GatewayClientError::AnyPort
                | GatewayClientError::KeyFile { .. }
                | GatewayClientError::NotAKey(_),
            ) => 2,
            Self::Backfill(BackfillError::Stopped) => 130,
            Self::Start(_)
            | Self::Io(_)
            | Self::Telemetry(_)
            | Self::Ledger(_)
            | Self::Keys(_)
            | Self::Integrations(_)
            | Self::Backfill(_)
            | Self::Gateway(_)
            | Self::Check
            | Self::Migrate => 1,
        }
    }
}

/// Says on standard error why a command did not do what it should.
pub fn complain(error: &CommandError) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(
        io::stderr(),
        "mege-gateway: {}",
        printable::lines(&error.to_string())
    );
}

fn settings(file: Option<PathBuf>) -> Result<Settings, CommandError> {
    Ok(Settings::load(&Sources::of_process(file)?)?)
}

/// Why an actor cannot do its work, once it has tried: its own words on its integration come before how it last failed
/// itself.
fn complaint<'a>(detail: &'a Value, last_error: Option<&'a str>) -> Option<&'a str> {
    let said = ["error", "last_error"]
        .iter()
        .find_map(|key| detail[key].as_str());
    said.or(last_error)
}

/// A progress bar up to `length`, hidden where standard error is no terminal.
fn progress_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Prints for people and scripts, on standard output.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", printable::lines(text))?;
    out.flush()
}
