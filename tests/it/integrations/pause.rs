//! An integration that an operator has paused.

use std::time::Duration;

use awc::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{audited, get, order, shown, until};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;

async fn overall(app: &TestApp) -> Value {
    get(app, "/status").await.json()["status"].take()
}

#[actix_rt::test]
async fn a_paused_asterisk_takes_no_calls_until_it_is_resumed() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    eventually("all is well", LIMIT, async || {
        (overall(&app).await == "ok").then_some(())
    })
    .await;
    let path = "/v1/integrations/asterisk.main/pause";
    let paused = app
        .send(Method::POST, path, &[("x-request-id", "shift-7")], "")
        .await;
    assert_eq!(paused.status, StatusCode::OK, "{}", paused.body);
    assert!(paused.json()["paused_since"].is_string(), "{}", paused.body);
    assert_eq!(order(&app, "asterisk.main", "pause").await.status, StatusCode::OK);

    let refused = app.make_call(102, NUMBER).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.body
    );
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["code"], &error["outcome"]),
        (&json!("paused"), &json!("not_placed"))
    );
    assert_eq!(refused.retry_after, Some(30));
    assert!(simulator.asterisk().originates().is_empty());
    assert_eq!(overall(&app).await, "degraded");
    let metrics = get(&app, "/metrics").await.body;
    assert!(
        metrics.contains(r#"mege_actor_paused{actor="asterisk.main"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"mege_shed_total{actor="asterisk.main",class="originate",reason="paused"} 1"#),
        "{metrics}"
    );
    // It stays connected, and the others notice nothing.
    assert_eq!(
        shown(&app, "asterisk.main").await["detail"]["connection"],
        "connected"
    );
    assert_eq!(app.get("/pbx-api/last-call-id").await.status, StatusCode::OK);
    // A restart does not resume it.
    assert_eq!(
        order(&app, "asterisk.main", "restart").await.status,
        StatusCode::OK
    );
    app.connected().await;
    assert_eq!(
        app.make_call(102, NUMBER).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );

    let resumed = order(&app, "asterisk.main", "resume").await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.body);
    assert_eq!(resumed.json()["paused_since"], Value::Null);
    assert_eq!(
        order(&app, "asterisk.main", "resume").await.status,
        StatusCode::OK
    );
    assert_eq!(app.make_call(102, NUMBER).await.status, StatusCode::OK);
    eventually("all is well again", LIMIT, async || {
        (overall(&app).await == "ok").then_some(())
    })
    .await;

    // The audit has what changed something, once, and who did it.
    audited(&app, "integration_resumed", 1).await;
    let entries = audited(&app, "integration_paused", 1).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(
        (
            &entry["subject"],
            &entry["who"],
            &entry["origin"],
            &entry["request_id"]
        ),
        (
            &json!("asterisk.main"),
            &json!("anybody on this machine"),
            &json!("127.0.0.1"),
            &json!("shift-7")
        )
    );
    app.stop().await;
}

/// When a collector's latest poll that went well ended.
async fn last_poll(app: &TestApp) -> Option<Timestamp> {
    let shown = shown(app, "collector.main").await;
    shown["detail"]["last_success"].as_str()?.parse().ok()
}

#[actix_rt::test]
async fn a_paused_collector_begins_no_poll_until_it_is_resumed() {
    // Polls come every 200 ms.
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    let first = eventually("a poll", LIMIT, async || last_poll(&app).await).await;
    eventually("another poll", LIMIT, async || {
        (last_poll(&app).await? > first).then_some(())
    })
    .await;
    assert_eq!(
        order(&app, "collector.main", "pause").await.status,
        StatusCode::OK
    );
    // One may be under way. Then there is none for the time of ten.
    let mut latest = (last_poll(&app).await, Instant::now());
    eventually("no more polls", LIMIT, async || {
        let poll = last_poll(&app).await;
        if poll != latest.0 {
            latest = (poll, Instant::now());
        }
        (latest.1.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .await;
    assert_eq!(overall(&app).await, "degraded");
    assert_eq!(
        order(&app, "collector.main", "resume").await.status,
        StatusCode::OK
    );
    until(&app, "collector.main", "polls again", |shown| {
        let poll = shown["detail"]["last_success"].as_str();
        poll.and_then(|poll| poll.parse().ok()) > latest.0
    })
    .await;
    app.stop().await;
}
