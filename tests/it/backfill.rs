//! `mege-gateway backfill`: a range of a 3CX's history, whatever happens on the way.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use mege_gateway::cdr::{CdrStore, open_store};
use mege_gateway::simulator::{
    HowOften, PacFault, PacOperation, Row, Simulator, SimulatorSettings, simulated_days,
};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::app::LIMIT;
use crate::support::eventually;
use crate::support::gateway::{PBX, sqlite_in, store_settings};
use crate::support::program::{Ended, Program};
use crate::support::source::Rows;

/// A 3CX with a history of a few days, and an empty store.
struct Office {
    simulator: Simulator,
    source: Rows,
    now: Timestamp,
    store: String,
    folder: TempDir,
}

impl Office {
    async fn open(rows: usize, store: Option<String>) -> Self {
        let simulator = Simulator::start(SimulatorSettings::default()).await;
        let simulator = simulator.expect("a simulated PBX");
        let start: Timestamp = "2026-02-10T00:00:00Z".parse().expect("a moment");
        let mut source = Rows::default();
        let mut now = start;
        for appearance in simulated_days(11, start, rows) {
            now = now.max(appearance.at);
            source.put(simulator.pbx(), appearance.what);
        }
        let now = now + SignedDuration::from_secs(1);
        simulator.pbx().set_clock(now);
        let folder = tempfile::tempdir().expect("a folder");
        let store = store.unwrap_or_else(|| sqlite_in(folder.path()));
        Self {
            simulator,
            source,
            now,
            store,
            folder,
        }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.store.clone()),
            (
                "MEGE__PAC__OFFICE__ADDRESS",
                self.simulator.pac_address().to_string(),
            ),
            ("MEGE__PAC__OFFICE__COLLECTOR__PAGE_ROWS", "100".to_owned()),
            ("MEGE__LOG__FILTER", "warn".to_owned()),
        ]
    }

    async fn backfill(&self, arguments: &[&str]) -> Ended {
        let mut line = vec!["backfill"];
        line.extend(arguments);
        let ended = Program::start(&line, &self.variables()).ended().await;
        for secret in self
            .source
            .cdrs
            .values()
            .filter_map(|cdr| cdr.source_participant_phone_number.as_ref())
        {
            assert!(
                secret.len() < 6 || !ended.said.contains(secret.as_str()),
                "{}",
                ended.said
            );
        }
        ended
    }

    /// A backfill whose end the test decides on.
    fn begin(&self, arguments: &[&str]) -> Killed {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mege-gateway"));
        command
            .arg("backfill")
            .args(arguments)
            .current_dir(self.folder.path());
        command.env_clear().envs(self.variables());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Killed(command.spawn().expect("a child process"))
    }

    async fn open_store(&self) -> Arc<CdrStore> {
        open_store(&store_settings(&self.store)).await.expect("the store")
    }

    async fn stored(&self) -> Rows {
        Rows::stored(&self.open_store().await).await
    }
}

/// Dropping it kills it, as `SIGKILL` does.
struct Killed(Child);

impl Killed {
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_some()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a killed child ends");
    }
}

/// The numbers of a summary: read, stored, changed, already there.
fn summary(ended: &Ended) -> [usize; 4] {
    let line = ended
        .said
        .lines()
        .find(|line| line.contains(" rows read: ") && line.contains(" already there"));
    let line = line.unwrap_or_else(|| panic!("no summary: {}", ended.said));
    let numbers: Vec<usize> = line
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().expect("four numbers")
}

/// How many places of backfills a store keeps.
fn places(folder: &Path) -> i64 {
    let store = rusqlite::Connection::open(folder.join("mege.sqlite")).expect("the store");
    let count = "SELECT count(*) FROM collector_position WHERE pbx LIKE 'backfill %'";
    store.query_row(count, [], |row| row.get(0)).expect("a number")
}

#[actix_rt::test]
async fn a_history_is_stored_once_and_found_there_the_second_time() {
    let office = Office::open(1_500, None).await;
    let all = office.source.cdrs.len() + office.source.recordings.len();
    let ended = office.backfill(&["--from", "2026-02-09"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(summary(&ended), [all, all, 0, 0], "{}", ended.said);
    assert_eq!(office.stored().await, office.source);
    assert_eq!(places(office.folder.path()), 0);
    let ended = office.backfill(&["--from", "2026-02-09", "--pbx", PBX]).await;
    assert_eq!(summary(&ended), [all, 0, 0, all], "{}", ended.said);
    assert!(!ended.said.contains("goes on"), "{}", ended.said);
}

#[actix_rt::test]
async fn only_legs_of_the_range_are_stored() {
    let office = Office::open(600, None).await;
    let [from, until] = [9, 15].map(|hour| format!("2026-02-10T{hour:02}:30:00Z"));
    let ended = office.backfill(&["--from", &from, "--until", &until]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let [from, until] = [from, until].map(|at| at.parse::<Timestamp>().expect("a moment"));
    let mut expected = office.source.cdrs.clone();
    expected.retain(|_, cdr| (from..until).contains(&cdr.cdr_started_at));
    let stored = office.stored().await;
    assert!(!expected.is_empty() && expected.len() < office.source.cdrs.len());
    assert_eq!(stored.cdrs, expected);
    for recording in office.source.recordings.values() {
        if expected.contains_key(&recording.cdr_id) {
            assert!(stored.recordings.contains_key(&recording.id_recording));
        }
    }
}

#[actix_rt::test]
async fn killed_again_and_again_the_same_command_goes_on_in_sqlite() {
    killed_again_and_again(None).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn killed_again_and_again_the_same_command_goes_on_in_postgresql() {
    let database = crate::support::postgres::fresh_database().await;
    killed_again_and_again(Some(database.url.clone())).await;
}

async fn killed_again_and_again(store: Option<String>) {
    const KILLS: usize = 12;
    /// What one of them asks for at most before it is killed; for all of it takes about 100.
    const REQUESTS: u64 = 16;
    let office = Office::open(3_000, store).await;
    let pbx = office.simulator.pbx();
    // Slow enough to be killed in the middle.
    let slow = PacFault::Delay(Duration::from_millis(5));
    pbx.fail(PacOperation::ExecuteSql, slow, HowOften::UntilCleared);
    let range = ["--from", "2026-02-09", "--until", "2026-02-14"];
    let mut rng = Rng::with_seed(20_260_210);
    let mut stored = Vec::new();
    let asked = || pbx.requests(PacOperation::ExecuteSql).received;
    for _ in 0..KILLS {
        let enough = asked() + rng.u64(2..REQUESTS);
        let mut child = office.begin(&range);
        eventually("it is in the middle, or done", LIMIT, async || {
            (asked() >= enough || child.has_ended()).then_some(())
        })
        .await;
        // It waits for an answer then, or a little later for the store.
        sleep(Duration::from_millis(rng.u64(0..30))).await;
        drop(child);
        let rows = office.stored().await;
        stored.push(rows.cdrs.len() + rows.recordings.len());
    }
    let all = office.source.cdrs.len() + office.source.recordings.len();
    let halfway = stored.iter().filter(|rows| **rows > 0 && **rows < all).count();
    assert!(
        halfway > 3,
        "it was not killed in the middle: {stored:?} of {all}"
    );
    pbx.clear_faults();
    let ended = office.backfill(&range).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("goes on"), "{}", ended.said);
    assert_eq!(office.stored().await, office.source);
    let [read, ..] = summary(&ended);
    assert!(read < all, "it read {read} of {all} rows, though it goes on");
}

#[actix_rt::test]
async fn a_running_gateway_and_its_position_are_not_disturbed() {
    let office = Office::open(1_500, None).await;
    let mut variables = office.variables();
    variables.push(("MEGE__PAC__OFFICE__COLLECTOR__BACKFILL_DAYS", "0".to_owned()));
    variables.push(("MEGE__PAC__OFFICE__COLLECTOR__INTERVAL_MS", "100".to_owned()));
    variables.push(("MEGE__LOG__FILTER", "info".to_owned()));
    let mut gateway = Program::serve(&variables);
    let origin = gateway.origin().await;
    let store = office.open_store().await;
    let before = eventually("the gateway's own position", LIMIT, async || {
        let position = store.position(PBX).await.ok()?;
        let done = position.window == Some(office.now) && position.backfilled_to == position.backfill_from;
        done.then_some(position)
    })
    .await;
    // A sweep of the gateway's would bring the latest two days by itself: the days before are the backfill's.
    let ended = office.backfill(&["--from", "2026-02-09"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(Rows::stored(&store).await, office.source);
    let after = store.position(PBX).await.expect("a position");
    assert_eq!(
        (after.window, after.backfilled_to, after.backfill_from),
        (before.window, before.backfilled_to, before.backfill_from)
    );
    let last = awc::Client::default()
        .get(format!("{origin}/pbx-api/last-call-id"))
        .send()
        .await;
    let last: serde_json::Value = last.expect("a reply").json().await.expect("JSON");
    let newest = office.source.cdrs.values().map(|cdr| cdr.call_history_id).max();
    assert_eq!(last["call_id"], newest.expect("a leg").to_string());
    let said = gateway.said();
    for trouble in ["WARN", "ERROR"] {
        assert!(!said.contains(trouble), "{said}");
    }
}

#[actix_rt::test]
async fn a_pac_that_is_away_is_said_and_one_that_comes_back_is_waited_for() {
    let office = Office::open(300, None).await;
    let pbx = office.simulator.pbx();
    let arguments = ["--from", "2026-02-09"];
    pbx.fail(
        PacOperation::ExecuteSql,
        PacFault::Unavailable,
        HowOften::UntilCleared,
    );
    let ended = office.backfill(&arguments).await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("clock: "), "{}", ended.said);

    // So slow that it is not done before the test has looked.
    let slow = PacFault::Delay(Duration::from_millis(100));
    pbx.fail(PacOperation::ExecuteSql, slow, HowOften::UntilCleared);
    let mut program = Program::start(&["backfill", "--from", "2026-02-09"], &office.variables());
    program.says("legs that started from").await;
    pbx.fail(
        PacOperation::ExecuteSql,
        PacFault::Unavailable,
        HowOften::UntilCleared,
    );
    program.says("; again in").await;
    pbx.clear_faults();
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(office.stored().await, office.source);
}

#[actix_rt::test]
async fn sigterm_ends_it_at_once_and_says_that_it_goes_on() {
    let office = Office::open(300, None).await;
    let hang = PacFault::Hang;
    office
        .simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, hang, HowOften::UntilCleared);
    let mut variables = office.variables();
    // Whoever waited for that would not end within the test.
    variables.push(("MEGE__PAC__OFFICE__REQUEST_TIMEOUT_MS", "600000".to_owned()));
    let mut program = Program::start(&["backfill"], &variables);
    eventually("it asks", LIMIT, async || {
        let requests = office.simulator.pbx().requests(PacOperation::ExecuteSql);
        (requests.received > 0).then_some(())
    })
    .await;
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(130), "{}", ended.said);
    assert!(ended.said.contains("the same command goes on"), "{}", ended.said);
}

#[actix_rt::test]
async fn what_the_command_line_means_must_be_clear() {
    let office = Office::open(10, None).await;
    let cases: [(&[&str], &str); 4] = [
        (&["--pbx", "warehouse"], "office"),
        (
            &["--from", "2026-02-10", "--until", "2026-02-10"],
            "--from must be before --until",
        ),
        (&["--from", "2200-02-10", "--until", "2200-02-11"], "in the past"),
        (&["--from", "tomorrow"], "must be a date"),
    ];
    for (arguments, words) in cases {
        let ended = office.backfill(arguments).await;
        assert_eq!(ended.code, Some(2), "{}", ended.said);
        assert!(ended.said.contains(words), "{}", ended.said);
    }
    let ended = Program::start(&["backfill"], &[]).ended().await;
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("there is none"), "{}", ended.said);
}

#[actix_rt::test]
async fn rows_that_changed_are_counted_as_such() {
    let mut office = Office::open(300, None).await;
    assert_eq!(office.backfill(&["--from", "2026-02-09"]).await.code, Some(0));
    let changed: Vec<_> = office.source.cdrs.values().take(7).cloned().collect();
    for mut cdr in changed {
        cdr.main_call_history_id = Some(uuid::Uuid::from_u128(7));
        office.source.put(office.simulator.pbx(), Row::Cdr(Box::new(cdr)));
    }
    let all = office.source.cdrs.len() + office.source.recordings.len();
    let ended = office.backfill(&["--from", "2026-02-09"]).await;
    assert_eq!(summary(&ended), [all, 0, 7, all - 7], "{}", ended.said);
    assert_eq!(office.stored().await, office.source);
}
