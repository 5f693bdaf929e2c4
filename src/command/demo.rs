//! `mege-gateway demo`.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CommandError, say, settings, stop};
use crate::actor::Placement;
use crate::settings::{Scheme, Settings, StoreUrl};
use crate::simulator::{Incident, IncidentPace, Simulator, SimulatorSettings};
use crate::startup::Application;
use crate::telemetry;

/// What the last digit of a number means to the simulated PBX.
pub(super) const HOW_PARTIES_BEHAVE: &str = "Extensions are 100 to 199. The last digit of an extension or a number \
     says what it does:\n7 is busy, 8 never answers, 9 rejects, any other answers.";

/// How long the morning takes.
const MORNING: Duration = Duration::from_secs(60);

/// Between two sweeps, which find the morning: its rows appear hours after their ends.
const SWEEP: Duration = Duration::from_secs(5);

/// How far back they compare: further than the morning began, and no further, as they cost the more the longer the demo
/// runs.
const HORIZON_H: u64 = 5;

/// Between two calls that nobody asked for, about.
const BACKGROUND: Duration = Duration::from_secs(10);

/// When incidents happen: slow enough to look at each.
const INCIDENTS: IncidentPace = IncidentPace {
    calm: Duration::from_secs(5),
    lasts: Duration::from_secs(10),
};

/// Runs the gateway on a simulated PBX, both in this process, until SIGTERM or Ctrl-C. What it stores is removed at
/// the end.
///
/// # Errors
/// When the configuration cannot be used or the port not be had.
pub async fn demo(file: Option<PathBuf>, faults: bool) -> Result<(), CommandError> {
    let settings = settings(file)?;
    telemetry::init(&settings.log)?;
    let temporary = std::path::absolute(std::env::temp_dir())?;
    let folder = temporary.join(format!("mege-gateway-demo-{}", Uuid::now_v7()));
    std::fs::create_dir(&folder)?;
    let run = run(settings, &folder, faults).await;
    std::fs::remove_dir_all(&folder)?;
    run
}

/// The gateway and the simulator, which have ended when this does: neither writes into the folder any more.
async fn run(settings: Settings, folder: &Path, faults: bool) -> Result<(), CommandError> {
    let recordings = folder.join("recordings");
    std::fs::create_dir(&recordings)?;
    let simulated = SimulatorSettings {
        morning: Some(MORNING),
        background_calls: Some(BACKGROUND),
        recordings: Some(recordings.clone()),
        ..SimulatorSettings::default()
    };
    let stop = stop()?;
    let simulator = Simulator::start(simulated.clone()).await?;
    let settings = simulated_pbx(settings, &simulator, &simulated, folder)?;
    let (scheme, address) = (settings.http.scheme, settings.http.address);
    let prefix = settings.http.base_path();
    let application = Application::build(settings, Placement::Dedicated).await?;
    let root = format!("{scheme}://{address}:{}", application.port());
    say(&introduction(&root, &prefix, &recordings))?;
    tokio::select! {
        run = application.run_until(stop) => run?,
        never = incidents(&simulator, faults) => match never {},
    }
    Ok(())
}

/// What there is to see and how, in lines that can be copied.
fn introduction(root: &str, prefix: &str, recordings: &Path) -> String {
    let base = format!("{root}{prefix}/pbx-api");
    let json = "-H 'Content-Type: application/json'";
    let recordings = recordings.display();
    format!(
        "The gateway with a simulated Asterisk, PAC and 3CX on {root}; nothing is dialled.\n\
         Stop it with Ctrl-C: it leaves nothing.\n\n\
         A morning of a small call centre takes place within this minute; then calls go on coming in.\n\
         Their CDRs, and the greatest call_id so far:\n  \
         curl -s {base}/cdr {json} -d '{{\"call_id\": \"0\"}}'\n  \
         curl -s {base}/last-call-id\n\
         A link to a recording, for a browser (tones, no words); the files are below {recordings}\n  \
         curl -s {base}/cdr {json} -d '{{\"call_id\": \"0\"}}' \\\n    \
         | grep -o 'http[^\"]*/media[^\"]*' | tail -1\n\n\
         A call between extension 102 and a number; its CDRs are there a few seconds after its end:\n  \
         curl -s {base}/make-call {json} \\\n    \
         -d '{{\"source_caller_id\": 79102223311, \"caller_id\": 102}}'\n\
         {HOW_PARTIES_BEHAVE}\n\
         make-call tells that Asterisk took the call. What became of it, in words, and of the one before it:\n  \
         curl -s '{root}{prefix}/v1/calls?limit=2'\n\
         As many as 20 a second, and what becomes of them:\n  \
         mege-gateway load --url {root}{prefix} \\\n    \
         --extension 102 --answer 79102223311 --busy 79102223317 --busy-share 25 --rate 20\n\n\
         How every part does, and its figures:\n  \
         curl -s {root}/status\n  \
         curl -s {root}/metrics\n\
         Every route, to try in a browser: {root}/docs\n"
    )
}

/// Tells of what goes wrong with the PBX, again and again; of nothing where there are to be no faults.
pub(super) async fn incidents(simulator: &Simulator, faults: bool) -> Infallible {
    if !faults {
        return pending().await;
    }
    loop {
        simulator.misbehave(INCIDENTS, tell).await;
    }
}

fn tell(incident: Incident) {
    let now = Timestamp::now().strftime("%H:%M:%S");
    let (what, see) = incident.description();
    let lasts = if incident.lasts() {
        format!(" for {} s", INCIDENTS.lasts.as_secs())
    } else {
        String::new()
    };
    // With standard output closed there is nobody to tell.
    let _ = say(&format!("{now}Z {what}{lasts}: {see}"));
}

/// The settings with every integration replaced: the demo touches no real PBX, whatever is configured. It has no keys, so it
/// listens on loopback and trusts nobody.
fn simulated_pbx(
    mut settings: Settings,
    simulator: &Simulator,
    simulated: &SimulatorSettings,
    folder: &Path,
) -> io::Result<Settings> {
    let ari = simulator.ari_address();
    settings.http.public_url = None;
    settings.http.scheme = Scheme::Http;
    settings.http.address = Ipv4Addr::LOCALHOST.into();
    // Nobody asks whether to send requests here.
    settings.http.drain_ms = 0;
    settings.auth.trust.clear();
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
        "recording_path": simulated.recordings.as_ref().map(|folder| folder.to_string_lossy()),
        "request_timeout_ms": 2_000,
        "collector": {
            "interval_ms": 1_000,
            "longest_leg_h": HORIZON_H,
            "sweep_interval_ms": u64::try_from(SWEEP.as_millis()).unwrap_or(u64::MAX),
            "sweep_horizon_h": HORIZON_H,
        },
    });
    settings.asterisk = only(asterisk)?;
    settings.pac = only(pac)?;
    Ok(settings)
}

/// A map with this one integration, named `main`.
fn only<T: serde::de::DeserializeOwned>(integration: Value) -> io::Result<T> {
    Ok(serde_json::from_value(json!({ "main": integration }))?)
}
