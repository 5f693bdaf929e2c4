//! Restarts of the gateway's own stores: the audit is in one of them, and a collector stands upon the other.

use std::time::Duration;

use awc::http::StatusCode;
use mege_gateway::actor::Drill;
use serde_json::json;

use super::{audited, fail_for_good, get, order, shown, until};
use crate::support::app::{TestApp, simulated, simulator};

#[actix_rt::test]
async fn what_is_done_to_the_ledger_itself_is_in_the_audit() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.ready().await;
    let restarted = order(&app, "ledger", "restart").await;
    assert_eq!(restarted.status, StatusCode::OK, "{}", restarted.body);
    audited(&app, "integration_restarted", 1).await;

    // It hangs: what is in its own thread is lost, and what was asked of it is not.
    let ledger = &app.integrations.stores.ledger;
    ledger.drill(Drill::Block(Duration::from_secs(3_600)));
    until(&app, "ledger", "it hangs", |shown| {
        shown["state"] == "unresponsive"
    })
    .await;
    let restarted = order(&app, "ledger", "restart").await;
    assert_eq!(
        (restarted.status, &restarted.json()["thread_left_behind"]),
        (StatusCode::OK, &json!(true))
    );
    audited(&app, "integration_restarted", 2).await;

    // It has failed for good.
    fail_for_good(ledger).await;
    assert_eq!(get(&app, "/v1/audit").await.json()["code"], "failed");
    // A pause is noted while nothing can be written, and outlives the restart.
    assert_eq!(order(&app, "ledger", "pause").await.status, StatusCode::OK);
    assert_eq!(order(&app, "ledger", "restart").await.status, StatusCode::OK);
    until(&app, "ledger", "it runs", |shown| shown["state"] == "running").await;
    assert_eq!(get(&app, "/v1/audit").await.json()["code"], "paused");
    assert_eq!(order(&app, "ledger", "resume").await.status, StatusCode::OK);
    let entries = audited(&app, "integration_restarted", 3).await;
    assert_eq!(entries.len(), 3, "each once: {entries:?}");
    assert!(
        entries
            .iter()
            .all(|entry| entry["subject"] == "ledger" && entry["count"] == 1)
    );
    for action in ["integration_paused", "integration_resumed"] {
        assert_eq!(audited(&app, action, 1).await.len(), 1);
    }
    app.stop().await;
}

#[actix_rt::test]
async fn a_restart_of_the_cdr_store_restarts_what_stands_upon_it() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.ready().await;
    let restarted = order(&app, "cdr", "restart").await;
    assert_eq!(restarted.status, StatusCode::OK, "{}", restarted.body);
    until(&app, "cdr", "it runs", |shown| shown["state"] == "running").await;
    let collector = until(&app, "collector.main", "restarted with it", |shown| {
        shown["restarts"] == 1 && shown["usable"] == true
    })
    .await;
    assert_eq!(collector["latest_restarts"][0]["reason"], "dependency");
    assert_eq!(
        shown(&app, "cdr").await["latest_restarts"][0]["reason"],
        "operator"
    );
    for name in ["asterisk.main", "ledger", "pac.main"] {
        assert_eq!(shown(&app, name).await["restarts"], 0, "{name}");
    }
    app.ready().await;
    assert_eq!(app.get("/pbx-api/last-call-id").await.status, StatusCode::OK);
    app.stop().await;
}
