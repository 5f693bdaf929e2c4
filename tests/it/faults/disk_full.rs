//! The disk with the gateway's own stores is full: calls go on, and what was to be written is, once there is room. What never was
//! is found on Asterisk.

use awc::http::StatusCode;
use mege_gateway::call::CallId;
use rusqlite::Connection;
use serde_json::Value;

use super::NUMBER;
use crate::ari::patient;
use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::disk::SmallDisk;
use crate::support::eventually;
use crate::support::program::free_tcp_port;
use crate::support::served::Served;

/// How large the disk is.
const MB: usize = 8;

const CALLS: u64 = 20;

/// How many calls are over by the ledger. A copy of it: by a path through `/proc`, SQLite does not find the log beside it.
fn ended_calls(disk: &SmallDisk) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["mege-ledger.sqlite", "mege-ledger.sqlite-wal"] {
        std::fs::copy(disk.file(name), folder.path().join(name)).expect("a copy");
    }
    let ledger = Connection::open(folder.path().join("mege-ledger.sqlite")).expect("the copy");
    let ended = "SELECT count(*) FROM ledger_call WHERE state = 'ended'";
    let ended: i64 = ledger.query_row(ended, [], |row| row.get(0)).expect("a count");
    ended.unsigned_abs()
}

async fn actor(served: &Served, name: &str) -> Value {
    served.get("/status").await.json()["actors"][name].take()
}

async fn ready(served: &Served) {
    eventually("its stores are there", LIMIT, async || {
        (served.get("/readyz").await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn calls_are_placed_without_a_disk_and_are_in_the_ledger_once_there_is_room() {
    let simulator = simulator().await;
    let disk = SmallDisk::new(MB);
    let served = Served::start(disk.serve(&simulated(&simulator))).await;
    ready(&served).await;

    disk.fill();
    for call in 0..CALLS {
        let reply = served.make_call(102, NUMBER + call).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    }
    let unwritten = async || served.count("mege_ledger_unwritten", &[]).await;
    eventually("the ledger takes nothing", LIMIT, async || {
        let usable = actor(&served, "ledger").await["usable"].clone();
        (usable == false && unwritten().await >= 1.0).then_some(())
    })
    .await;
    let stored = async || served.count("mege_cdr_stored_total", &[r#"pbx="main""#]).await;
    let failed = [r#"pbx="main""#, r#"outcome="error""#];
    eventually("the CDR store takes nothing", LIMIT, async || {
        (served.count("mege_cdr_looks_total", &failed).await >= 1.0).then_some(())
    })
    .await;
    let before = stored().await;
    let reply = served.make_call(102, NUMBER + CALLS).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);

    disk.empty();
    eventually("all is written", LIMIT, async || {
        let usable = actor(&served, "ledger").await["usable"].clone();
        (usable == true && unwritten().await == 0.0).then_some(())
    })
    .await;
    eventually("the CDRs are stored", LIMIT, async || {
        (stored().await > before).then_some(())
    })
    .await;
    eventually("every call and its end are in the ledger", LIMIT, async || {
        (ended_calls(&disk) == CALLS + 1).then_some(())
    })
    .await;
    assert_eq!(served.count("mege_actor_panics_total", &[]).await, 0.0);
    assert_eq!(served.count("mege_ledger_lost_total", &[]).await, 0.0);
    let said = served.program.said();
    assert!(!said.contains("panicked"), "{said}");
}

/// Each is looked up and ended by the id that its caller was told.
async fn is_found_and_hung_up(served: &Served, ids: &[CallId]) {
    for id in ids {
        let found = served.get(&format!("/v1/calls/{id}")).await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.body);
        assert_ne!(found.json()["state"], "ended", "{}", found.body);
        let reply = served.hang_up(*id).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.body);
    }
}

#[actix_rt::test]
async fn a_call_that_a_full_disk_did_not_take_is_found_after_a_restart_and_hung_up() {
    let simulator = patient().await;
    let disk = SmallDisk::new(MB);
    let mut variables = simulated(&simulator);
    variables.push(("APP_PORT", free_tcp_port().to_string()));
    let mut served = Served::start(disk.serve(&variables)).await;
    ready(&served).await;
    disk.fill();
    let mut ids = Vec::new();
    for _ in 0..CALLS {
        let reply = served.make_call(102, NUMBER).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        let told = reply.json()["uniqueid"].clone();
        ids.push(serde_json::from_value::<CallId>(told).expect("an id"));
    }
    served.program.signal("KILL");
    served.program.ended().await;

    // The disk is full for the first half of them.
    let served = Served::start(disk.serve(&variables)).await;
    let (first, rest) = ids.split_at(ids.len() / 2);
    is_found_and_hung_up(&served, first).await;
    disk.empty();
    ready(&served).await;
    is_found_and_hung_up(&served, rest).await;
    eventually("no call is left", LIMIT, async || {
        (simulator.asterisk().live_channels() == 0).then_some(())
    })
    .await;
    assert_eq!(
        simulator.asterisk().originates().len(),
        ids.len(),
        "nothing was dialled again"
    );
}
