//! The disk with the gateway's own stores is full: calls go on, and what was to be written is, once there is room.

use std::io::Write as _;
use std::path::PathBuf;

use awc::http::StatusCode;
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
fn fill(disk: &std::path::Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = std::fs::File::create(&path).expect("a file");
    for piece in [64 * 1024, 4096, 1] {
        let zeros = vec![0; piece];
        while file.write_all(&zeros).is_ok() {}
    }
    path
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
    let failed = [r#"pbx="main""#, r#"outcome="error""#];
    eventually("the CDR store takes nothing", LIMIT, async || {
        (served.count("mege_cdr_looks_total", &failed).await >= 1.0).then_some(())
    })
    .await;
    let reply = served.make_call(102, NUMBER).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);

    std::fs::remove_file(filler).expect("room again");
    eventually("all is written", LIMIT, async || {
        let usable = actor(&served, "ledger").await["usable"].clone();
        (usable == true && unwritten().await == 0.0).then_some(())
    })
    .await;
    eventually("the CDRs are stored", LIMIT, async || {
        (served.count("mege_cdr_stored_total", &[r#"pbx="main""#]).await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(served.count("mege_actor_panics_total", &[]).await, 0.0);
    assert_eq!(served.count("mege_ledger_lost_total", &[]).await, 0.0);
    let said = served.program.said();
    assert!(!said.contains("panicked"), "{said}");
}
