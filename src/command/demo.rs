//! `mege-gateway demo`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{CommandError, say, settings, stop};
use crate::actor::Placement;
use crate::settings::{Settings, StoreUrl};
use crate::simulator::{Simulator, SimulatorSettings};
use crate::startup::Application;
use crate::telemetry;

/// What the last digit of a number means to the simulated PBX.
pub(super) const HOW_PARTIES_BEHAVE: &str = "Extensions are 100 to 199. The last digit of an extension or a number \
     says what it does:\n7 is busy, 8 never answers, 9 rejects, any other answers.";

/// Between two calls that nobody asked for, about.
const BACKGROUND: Duration = Duration::from_secs(5);

/// Runs the gateway on a simulated PBX, both in this process, until SIGTERM or Ctrl-C. What it stores is removed at
/// the end.
///
/// # Errors
/// When the configuration cannot be used or the port not be had.
pub async fn demo(file: Option<PathBuf>) -> Result<(), CommandError> {
    let settings = settings(file)?;
    telemetry::init(&settings.log)?;
    let simulated = SimulatorSettings {
        background_calls: Some(BACKGROUND),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(simulated.clone()).await?;
    let folder = std::env::temp_dir().join(format!("mege-gateway-demo-{}", Uuid::now_v7()));
    std::fs::create_dir(&folder)?;
    let run = run(simulated_pbx(settings, &simulator, &simulated, &folder)?).await;
    std::fs::remove_dir_all(&folder)?;
    run
}

async fn run(settings: Settings) -> Result<(), CommandError> {
    let (scheme, address, prefix) = (
        settings.http.scheme,
        settings.http.address,
        settings.http.base_path(),
    );
    let application = Application::build(settings, Placement::Dedicated).await?;
    let root = format!("{scheme}://{address}:{}", application.port());
    let base = format!("{root}{prefix}/pbx-api");
    say(&format!(
        "The gateway with a simulated PBX on {root}; nothing is dialled. Stop it with Ctrl-C.\n\n\
         curl -s {base}/make-call -H 'Content-Type: application/json' \\\n     \
         -d '{{\"source_caller_id\": 79102223311, \"caller_id\": 102}}'\n\
         curl -s {base}/last-call-id\n\
         curl -s {base}/cdr -H 'Content-Type: application/json' -d '{{\"call_id\": \"0\"}}'\n\
         curl -s {root}/status\n\
         curl -s {root}/metrics\n\n{HOW_PARTIES_BEHAVE}\n\
         A call's CDRs are there a few seconds after its end."
    ))?;
    application.run_until(stop()).await?;
    Ok(())
}

/// The settings with every integration replaced: the demo touches no real PBX, whatever is configured.
fn simulated_pbx(
    mut settings: Settings,
    simulator: &Simulator,
    simulated: &SimulatorSettings,
    folder: &Path,
) -> io::Result<Settings> {
    let ari = simulator.ari_address();
    settings.store.url = StoreUrl::Sqlite(folder.join("mege.sqlite"));
    let asterisk = json!({
        "host": ari.ip().to_string(),
        "port": ari.port(),
        "user": simulated.user,
        "password": simulated.password,
        "trunk": simulated.trunks.first(),
        "context": "outgoing",
    });
    let pac = json!({
        "address": simulator.pac_address().to_string(),
        "recording_path": "https://recordings.example",
        "collector": { "interval_ms": 1_000 },
    });
    settings.asterisk = only(asterisk)?;
    settings.pac = only(pac)?;
    Ok(settings)
}

/// A map with this one integration, named `main`.
fn only<T: serde::de::DeserializeOwned>(integration: Value) -> io::Result<T> {
    Ok(serde_json::from_value(json!({ "main": integration }))?)
}
