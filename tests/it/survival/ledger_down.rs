//! Calls do not wait for the ledger's disk, and are in it once it is back.

use awc::http::{Method, StatusCode};
use mege_gateway::call::CallState;
use rusqlite::Connection;

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::calls::{call, call_id};
use crate::support::eventually;

#[actix_rt::test]
async fn calls_are_placed_while_the_ledger_is_locked_and_are_in_it_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mege.sqlite");
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("DATABASE_URL", format!("sqlite:{}", file.display())));
    variables.push(("MEGE__STORE__TIMEOUT_MS", "100".to_owned()));
    let app = TestApp::start(&variables).await;
    app.ready().await;
    app.connected().await;

    let lock = Connection::open(folder.path().join("mege-ledger.sqlite")).expect("the ledger's file");
    lock.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let first = call_id(&app.make_call(102, 79_990_000_001).await);
    eventually("/status says that the ledger is down", LIMIT, async || {
        (app.status_of("ledger").await["usable"] == false).then_some(())
    })
    .await;
    let second = call_id(&app.make_call(102, 79_990_000_002).await);

    lock.execute_batch("ROLLBACK").expect("the end of the lock");
    app.ready().await;
    for id in [first, second] {
        let ended = format!("SELECT state FROM ledger_call WHERE id = '{id}'");
        eventually("the call's end is on disk", LIMIT, async || {
            let state: Option<String> = lock.query_row(&ended, [], |row| row.get(0)).ok();
            (state.as_deref() == Some("ended")).then_some(())
        })
        .await;
        assert_eq!(call(&app, id).await.state, CallState::Ended);
    }
}

#[actix_rt::test]
async fn without_a_ledger_from_the_start_nobody_is_let_in_until_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    // A directory where the ledger's file should be.
    let ledger = folder.path().join("mege-ledger.sqlite");
    std::fs::create_dir(&ledger).expect("a directory");
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    let file = folder.path().join("mege.sqlite");
    variables.push(("DATABASE_URL", format!("sqlite:{}", file.display())));
    let app = TestApp::start(&variables).await;
    // A few seconds: it waits a while for the name that the ledger has for it.
    app.connected().await;
    // Who asks cannot be told, nor whether anybody may.
    let reply = app.make_call(102, 79_990_000_001).await;
    assert_eq!(
        (reply.status, reply.retry_after),
        (StatusCode::SERVICE_UNAVAILABLE, Some(5))
    );
    assert_eq!(reply.json()["error"]["code"], "keys_unavailable");
    assert_eq!(
        app.send(Method::GET, "/livez", &[], "").await.status,
        StatusCode::OK
    );
    let report = app.integrations.stores.ledger.health().report();
    assert_eq!((report.usable, &report.detail["store"]), (false, &"down".into()));

    std::fs::remove_dir(&ledger).expect("no directory");
    eventually("it is let in", LIMIT, async || {
        let reply = app.make_call(102, 79_990_000_002).await;
        (reply.status == StatusCode::OK).then_some(())
    })
    .await;
}
