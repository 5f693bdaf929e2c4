//! The disk with the gateway's own stores is full: calls go on, and what was to be written is, once there is room.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use awc::http::StatusCode;
use rusqlite::Connection;
use serde_json::Value;

use super::NUMBER;
use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::served::Served;

/// How large the disk is.
const MB: usize = 8;

const CALLS: u64 = 20;

/// Takes all the room that is left, byte by byte.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = std::fs::File::create(&path).expect("a file");
    for piece in [64 * 1024, 4096, 1] {
        let zeros = vec![0; piece];
        while file.write_all(&zeros).is_ok() {}
    }
    path
}

/// How many calls are over by the ledger. A copy of it: by a path through `/proc`, SQLite does not find the log beside it.
fn ended_calls(disk: &Path) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["mege-ledger.sqlite", "mege-ledger.sqlite-wal"] {
        std::fs::copy(disk.join(name), folder.path().join(name)).expect("a copy");
    }
    let ledger = Connection::open(folder.path().join("mege-ledger.sqlite")).expect("the copy");
    let ended = "SELECT count(*) FROM ledger_call WHERE state = 'ended'";
    let ended: i64 = ledger.query_row(ended, [], |row| row.get(0)).expect("a count");
    ended.unsigned_abs()
}

async fn actor(served: &Served, name: &str) -> Value {
    served.get("/status").await.json()["actors"][name].take()
}

#[actix_rt::test]
async fn calls_are_placed_without_a_disk_and_are_in_the_ledger_once_there_is_room() {
    let simulator = simulator().await;
    let program = Program::serve_on_small_disk(MB, &simulated(&simulator));
    let disk = program.small_disk();
    let served = Served::start(program).await;
    eventually("its stores are there", LIMIT, async || {
        (served.get("/readyz").await.status == StatusCode::OK).then_some(())
    })
    .await;

    let filler = fill(&disk);
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

    std::fs::remove_file(filler).expect("room again");
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
