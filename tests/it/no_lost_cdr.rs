//! No CDR is lost and none is stored twice: two simulated days of a 3CX, a gateway that is killed again and again,
//! a PAC that fails and talks nonsense.

use std::cmp::Reverse;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use mege_gateway::cdr::open_store;
use mege_gateway::simulator::{
    Appearance, HowOften, PacFault, PacOperation, Row, SimulatedPbx, Simulator, SimulatorSettings,
    simulated_days,
};
use tokio::time::{Instant, sleep};

use crate::support::gateway::{PBX, sqlite_in, store_settings};
use crate::support::source::Rows;

const ROWS: usize = 5_000;

/// How much simulated time passes at once, and how much real time meanwhile.
const STEP: SignedDuration = SignedDuration::from_mins(3);
const STEP_TAKES: Duration = Duration::from_millis(15);

/// How many times the gateway is killed. After every third it stays away for longer than the window reaches back.
const KILLS: usize = 7;
const AWAY: SignedDuration = SignedDuration::from_hours(3);

/// How long the gateway may take to have everything after the last row appeared, on a machine busy with other things too.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// A gateway process; dropping it kills it, as `SIGKILL` does.
struct Gateway(Child);

impl Gateway {
    /// `mege-gateway serve` with a configuration file in `folder`.
    fn start(pac: &str, store: &str, folder: &Path) -> Self {
        let settings = format!(
            r#"
            [http]
            port = 0

            [log]
            filter = "warn"

            [store]
            url = "{store}"

            [pac.{PBX}]
            address = "{pac}"
            request_timeout_ms = 1500

            [pac.{PBX}.collector]
            interval_ms = 100
            overlap_s = 600
            longest_leg_h = 2
            sweep_interval_ms = 3600000
            sweep_horizon_h = 48
            backfill_days = 1
            page_rows = 100
            "#
        );
        let file = folder.join("gateway.toml");
        std::fs::write(&file, settings).expect("a configuration file");
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("gateway.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_mege-gateway"))
            .arg("serve")
            .arg("--config")
            .arg(file)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"))
            .spawn();
        Self(child.expect("a child process"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let ended = self.0.try_wait().expect("a child's state");
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a killed child ends");
        if !std::thread::panicking() {
            assert_eq!(ended, None, "the gateway ended by itself");
        }
    }
}

#[actix_rt::test]
async fn every_row_is_in_sqlite_once_after_two_days_of_trouble() {
    let folder = tempfile::tempdir().unwrap();
    two_days_of_trouble(&sqlite_in(folder.path()), folder.path()).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn every_row_is_in_postgresql_once_after_two_days_of_trouble() {
    let database = crate::support::postgres::fresh_database().await;
    let folder = tempfile::tempdir().unwrap();
    two_days_of_trouble(&database.url, folder.path()).await;
}

async fn two_days_of_trouble(store: &str, folder: &Path) {
    let mut rng = Rng::with_seed(20_260_210);
    let simulator = Simulator::start(SimulatorSettings::default()).await;
    let simulator = simulator.expect("a simulated PBX");
    let pac = simulator.pac_address().to_string();
    let pbx = simulator.pbx();

    // Half an evening is there before the gateway.
    let start: Timestamp = "2026-02-10T00:00:00Z".parse().expect("a moment");
    let mut appearances = with_changes(simulated_days(7, start, ROWS), &mut rng);
    let end = appearances.first().map_or(start, |appearance| appearance.at);
    let last = end + STEP;
    let mut now = start + SignedDuration::from_hours(6);
    pbx.set_clock(now);
    let mut source = Rows::default();
    appear(&mut appearances, now, pbx, &mut source);

    let mut kills: Vec<Timestamp> = (0..KILLS).map(|_| between(&mut rng, now, end)).collect();
    kills.sort_by(|a, b| b.cmp(a));
    let mut gateway = Some(Gateway::start(&pac, store, folder));
    let mut killed = 0;
    let mut back_at = now;
    while now < last {
        if rng.u8(0..40) == 0 {
            pbx.fail(
                PacOperation::ExecuteSql,
                fault(&mut rng),
                HowOften::Next(rng.usize(1..6)),
            );
        }
        now += STEP;
        pbx.set_clock(now);
        appear(&mut appearances, now, pbx, &mut source);
        // In the middle of whatever it is doing.
        sleep(STEP_TAKES.mul_f64(0.5 + rng.f64())).await;
        if kills.last().is_some_and(|at| *at <= now) {
            kills.pop();
            killed += 1;
            gateway = None;
            back_at = if killed % 3 == 0 { now + AWAY } else { now };
        }
        if gateway.is_none() && now >= back_at {
            gateway = Some(Gateway::start(&pac, store, folder));
        }
    }
    assert!(appearances.is_empty() && kills.is_empty());
    let _gateway = gateway.unwrap_or_else(|| Gateway::start(&pac, store, folder));
    assert_eq!(source.cdrs.len(), ROWS);
    assert!(source.recordings.len() > 500);

    pbx.clear_faults();
    let store = open_store(&store_settings(store)).await.expect("the store");
    let deadline = Instant::now() + SETTLES_WITHIN;
    let stored = loop {
        let stored = Rows::stored(&store).await;
        let missing = source.missing_in(&stored);
        if missing == 0 {
            break stored;
        }
        if Instant::now() >= deadline {
            let log = std::fs::read_to_string(folder.join("gateway.log")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(20).collect();
            panic!(
                "{missing} rows are missing; the gateway's latest words:\n{}",
                end.join("\n")
            );
        }
        now += STEP;
        pbx.set_clock(now);
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(stored, source);
}

/// Some rows change hours after they appeared, as joined calls and archived recordings do. The latest first.
fn with_changes(mut appearances: Vec<Appearance>, rng: &mut Rng) -> Vec<Appearance> {
    let mut changes = Vec::new();
    for appearance in &appearances {
        if rng.u8(0..50) > 0 {
            continue;
        }
        let what = match appearance.what.clone() {
            Row::Cdr(mut cdr) => {
                cdr.main_call_history_id = Some(uuid::Uuid::from_u128(rng.u128(..)));
                cdr.source_presentation = None;
                Row::Cdr(cdr)
            }
            Row::Recording(mut recording) => {
                recording.archived = Some(true);
                recording.archived_url = Some(String::new());
                Row::Recording(recording)
            }
        };
        let at = appearance.at + SignedDuration::from_mins(rng.i64(1..600));
        changes.push(Appearance { at, what });
    }
    appearances.extend(changes);
    appearances.sort_by_key(|appearance| Reverse(appearance.at));
    appearances
}

/// Lets appear what has until `now`.
fn appear(appearances: &mut Vec<Appearance>, now: Timestamp, pbx: &SimulatedPbx, source: &mut Rows) {
    while appearances.last().is_some_and(|appearance| appearance.at <= now) {
        if let Some(appearance) = appearances.pop() {
            source.put(pbx, appearance.what);
        }
    }
}

fn between(rng: &mut Rng, from: Timestamp, until: Timestamp) -> Timestamp {
    from + SignedDuration::from_secs(rng.i64(0..until.duration_since(from).as_secs()))
}

fn fault(rng: &mut Rng) -> PacFault {
    let nonsense = [
        "",
        "[[\"\"]]",
        "[]",
        "[[\"1\", \"2\"]]",
        "{\"rows\": 3}",
        "[[\"00000000-01dc-9a69-1dbe-96110000301f\", \"1770712917554000\", \"00\"]]",
    ];
    match rng.u8(0..8) {
        0 => PacFault::Hang,
        1 => PacFault::Delay(Duration::from_millis(50)),
        2 => PacFault::Unavailable,
        3 => PacFault::ErrorText("Npgsql.NpgsqlException (0x80004005): Exception while reading".to_owned()),
        4 => PacFault::Oversized(8 * 1024 * 1024),
        5 => PacFault::DropConnection,
        _ => PacFault::Result(nonsense[rng.usize(..nonsense.len())].to_owned()),
    }
}
