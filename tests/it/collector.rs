//! The collector through a real PAC actor on a simulated 3CX, into a real store.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mege_gateway::actor::InjectedFault;
use mege_gateway::cdr::{Cdr, CdrStore, open_store};
use mege_gateway::settings::PacSettings;
use mege_gateway::simulator::{
    HowOften, PacFault, PacOperation, Row, SimulatedPbx, Simulator, SimulatorSettings, simulated_days,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::gateway::{Collecting, collecting, sqlite_in, store_settings};
use crate::support::source::Rows;

const LIMIT: Duration = Duration::from_secs(60);

/// A simulated 3CX, what it holds, and a store.
struct Office {
    simulator: Simulator,
    source: Rows,
    now: Timestamp,
    folder: TempDir,
    store: Arc<CdrStore>,
}

impl Office {
    async fn open() -> Self {
        let simulator = Simulator::start(SimulatorSettings::default()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let store = open_store(&store_settings(&sqlite_in(folder.path()))).await;
        let mut office = Self {
            simulator: simulator.expect("a simulated PBX"),
            source: Rows::default(),
            now: "2026-02-10T12:00:00Z".parse().expect("a moment"),
            folder,
            store: store.expect("a store"),
        };
        office.pass(SignedDuration::ZERO);
        office
    }

    fn pbx(&self) -> &SimulatedPbx {
        self.simulator.pbx()
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
        self.pbx().set_clock(self.now);
    }

    /// A gateway with a sweep each simulated hour.
    fn gateway(&self) -> Collecting {
        let settings = json!({
            "address": self.simulator.pac_address().to_string(),
            "request_timeout_ms": 2_000,
            "collector": { "interval_ms": 100, "sweep_interval_ms": 3_600_000, "longest_leg_h": 4 },
        });
        let settings: PacSettings = serde_json::from_value(settings).expect("settings of a PAC");
        collecting(settings, store_settings(&sqlite_in(self.folder.path())))
    }

    /// A leg that lasted from so many minutes ago until so many minutes ago.
    fn leg(&mut self, minutes: std::ops::Range<i64>) -> Cdr {
        let ago = |minutes| self.now - SignedDuration::from_mins(minutes);
        let (ended_at, started_at) = (ago(minutes.start), ago(minutes.end));
        let day = simulated_days(
            u64::from(started_at.as_second().unsigned_abs() as u32),
            started_at,
            1,
        );
        let leg = day.into_iter().find_map(|appearance| match appearance.what {
            Row::Cdr(cdr) => Some(*cdr),
            Row::Recording(_) => None,
        });
        let mut leg = leg.expect("a day of one row has a row");
        leg.cdr_ended_at = ended_at;
        self.put(Row::Cdr(Box::new(leg.clone())));
        leg
    }

    fn put(&mut self, row: Row) {
        self.source.put(self.simulator.pbx(), row);
    }

    /// Waits until the store has all of the source.
    async fn collected(&self, what: &str) {
        eventually(what, LIMIT, async || {
            let stored = Rows::stored(&self.store).await;
            (self.source.missing_in(&stored) == 0).then_some(())
        })
        .await;
    }
}

fn status(gateway: &Collecting) -> Value {
    gateway.collector.health().report().detail
}

/// Waits for a poll that began after now.
async fn looked(office: &mut Office, gateway: &Collecting) {
    office.pass(SignedDuration::from_secs(1));
    let now = office.now;
    eventually("another poll", LIMIT, async || {
        let window: Option<Timestamp> = status(gateway)["window"].as_str()?.parse().ok();
        (window? >= now).then_some(())
    })
    .await;
}

/// Waits for the end of a sweep that begins after now.
async fn swept(office: &mut Office, gateway: &Collecting) {
    office.pass(SignedDuration::from_hours(1));
    let now = office.now;
    eventually("another sweep", LIMIT, async || {
        let swept: Option<Timestamp> = status(gateway)["swept_at"].as_str()?.parse().ok();
        (swept? >= now).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn what_was_there_before_the_gateway_comes_by_the_backfill() {
    let mut office = Office::open().await;
    for days in [1, 2, 9, 29] {
        office.leg(days * 1_440..days * 1_440 + 5);
    }
    let gateway = office.gateway();
    office.collected("four legs of the past month").await;
    eventually("an end of the backfill", LIMIT, async || {
        (status(&gateway)["backfill_hours"] == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_leg_and_its_recording_are_stored_by_the_next_poll() {
    let mut office = Office::open().await;
    let gateway = office.gateway();
    swept(&mut office, &gateway).await;
    let swept_at = status(&gateway)["swept_at"].clone();
    let leg = office.leg(0..180);
    office.put(Row::Recording(Box::new(recording(1, &leg))));
    office.collected("a leg that ended now, and its recording").await;
    // Both by the window and the watermark: there was no other sweep.
    assert_eq!(status(&gateway)["swept_at"], swept_at);
    assert_eq!(status(&gateway)["last_error"], Value::Null);
}

#[actix_rt::test]
async fn what_appears_late_or_changes_later_comes_by_the_sweep_and_what_goes_stays() {
    let mut office = Office::open().await;
    let gateway = office.gateway();
    swept(&mut office, &gateway).await;
    let mut first = office.leg(0..10);
    let gone = office.leg(0..20);
    for number in 1_000..1_300 {
        office.put(Row::Recording(Box::new(recording(number, &first))));
    }
    office.collected("the first rows").await;

    // Longer than the window's longest leg; ended before the window's overlap; a number far below the watermark.
    office.leg(0..400);
    office.leg(90..100);
    office.put(Row::Recording(Box::new(recording(1_301, &first))));
    office.put(Row::Recording(Box::new(recording(900, &first))));
    office.pass(SignedDuration::from_mins(30));
    looked(&mut office, &gateway).await;
    first.termination_reason_details = Some("changed".to_owned());
    office.put(Row::Cdr(Box::new(first)));
    assert!(office.pbx().delete_cdr(gone.cdr_id).unwrap());
    looked(&mut office, &gateway).await;
    looked(&mut office, &gateway).await;
    let missing = office.source.missing_in(&Rows::stored(&office.store).await);
    assert_eq!(missing, 4, "the window cannot know of these");

    swept(&mut office, &gateway).await;
    office.collected("the late, the changed and the gone").await;
}

#[actix_rt::test]
async fn a_pac_that_fails_is_seen_on_the_status_and_costs_nothing() {
    let mut office = Office::open().await;
    let gateway = office.gateway();
    office.leg(0..10);
    office.collected("the first leg").await;
    let faults = [
        PacFault::Hang,
        PacFault::Unavailable,
        PacFault::DropConnection,
        PacFault::ErrorText("Npgsql.PostgresException (0x80004005): 57014: canceling statement".to_owned()),
        PacFault::Result("[[\"\"]]".to_owned()),
        PacFault::Result("[[\"1\",\"c4ca4238a0b923820dcc509a6f75849b\"]]".to_owned()),
        PacFault::Oversized(8 * 1024 * 1024),
    ];
    for fault in faults {
        office
            .pbx()
            .fail(PacOperation::ExecuteSql, fault.clone(), HowOften::UntilCleared);
        office.leg(0..3);
        eventually(&format!("a failed poll with {fault:?}"), LIMIT, async || {
            let report = gateway.collector.health().report();
            (!report.usable && report.detail["last_error"].is_string()).then_some(())
        })
        .await;
        office.pbx().clear_faults();
        office.collected(&format!("a leg after {fault:?}")).await;
        eventually("a good poll", LIMIT, async || {
            gateway.collector.health().report().usable.then_some(())
        })
        .await;
        office.pass(SignedDuration::from_mins(5));
    }
}

#[actix_rt::test]
async fn a_collector_that_panics_goes_on_where_it_was() {
    let mut office = Office::open().await;
    let gateway = office.gateway();
    for _ in 0..3 {
        office.leg(0..10);
        gateway.collector.inject(InjectedFault::Panic);
        office.pass(SignedDuration::from_mins(20));
        office.leg(0..1);
        office.collected("the legs before and after a panic").await;
    }
    eventually("the restarts on the status", LIMIT, async || {
        (gateway.collector.health().report().restarts == 3).then_some(())
    })
    .await;
}

fn recording(number: i64, leg: &Cdr) -> mege_gateway::cdr::Recording {
    mege_gateway::cdr::Recording {
        id_recording: number,
        cdr_id: leg.cdr_id,
        recording_url: Some(format!("110/[Имя]_110-1_{number}.wav")),
        start_time: Some(leg.cdr_started_at),
        end_time: Some(leg.cdr_ended_at),
        archived: Some(false),
        archived_url: None,
    }
}
