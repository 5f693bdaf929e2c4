//! The routes about the gateway itself.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::support::TestApp;

async fn readiness(app: &TestApp) -> (u16, Value) {
    let answer = app.get("/readyz").await;
    (answer.status.as_u16(), answer.json())
}

#[actix_web::test]
async fn ready_means_started_not_draining_and_the_stores_usable() {
    let app = TestApp::start(&[("API_PREFIX", "api")]).await;
    let not_ready = |reason: &str| (503, json!({"status": "not_ready", "reason": reason}));
    assert_eq!(readiness(&app).await, not_ready("starting"));
    app.lifecycle.started();
    for store in [
        app.integrations.stores.cdr.health(),
        app.integrations.stores.ledger.health(),
    ] {
        store.became_usable().await;
    }
    assert_eq!(readiness(&app).await, (200, json!({"status": "ready"})));
    app.lifecycle.draining();
    app.lifecycle.started();
    assert_eq!(readiness(&app).await, not_ready("draining"));
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);

    let app = TestApp::start(&[("DATABASE_URL", "sqlite:/nowhere/mege.sqlite")]).await;
    app.lifecycle.started();
    assert_eq!(readiness(&app).await, not_ready("store"));
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
}

#[actix_web::test]
async fn status_shows_each_actor_with_its_load() {
    let app = TestApp::start(&[]).await;
    app.integrations.stores.cdr.health().became_usable().await;
    let mut status = app.get("/status").await.json();
    assert_eq!(status["status"], "ok");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let since = status["actors"]["cdr"]["since"].take();
    assert!(since.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let limits = json!({"in_flight": 8, "waiting": 64, "wait_ms": 1000});
    let expected = json!({
        "state": "running",
        "since": null,
        "restarts": 0,
        "panics": 0,
        "detail": {"seq": 0},
        "usable": true,
        "blocked_threads": 0,
        "operations": [
            {"class": "read", "in_flight": 0, "waiting": 0, "limits": limits, "breaker": "closed"},
            {"class": "write", "in_flight": 0, "waiting": 0, "limits": limits, "breaker": "closed"},
        ],
    });
    assert_eq!(status["actors"]["cdr"], expected);

    let away = [("PAC_HOST", "127.0.0.1:1")];
    let app = TestApp::start(&away).await;
    let answer = app.get("/status").await;
    assert_eq!(answer.status, StatusCode::OK);
    let status = answer.json();
    assert_eq!(status["status"], "degraded");
    assert_eq!(status["actors"]["pac.main"]["usable"], false);
    assert_eq!(status["actors"]["ledger"]["usable"], true);
}

#[actix_web::test]
async fn metrics_are_labelled_with_the_routes_pattern_and_nothing_of_the_callers() {
    let app = TestApp::start(&[("API_PREFIX", "numbers"), ("PAC_HOST", "127.0.0.1:1")]).await;
    app.get("/numbers/pbx-api/last-call-id?number=79102223311").await;
    app.get("/79102223311").await;
    app.post("/numbers/pbx-api/79102223311", "{}").await;
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = answer.text();
    let line =
        r#"mege_http_requests_total{route="/numbers/pbx-api/last-call-id",method="GET",status="200"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains(r#"mege_http_seconds_count{route="/numbers/pbx-api/last-call-id"} 1"#),
        "{text}"
    );
    assert!(!text.contains("79102223311"), "{text}");
}
