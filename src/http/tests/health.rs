//! The routes about the gateway itself.

use std::sync::Arc;

use actix::{Actor, Context};
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::support::{FakeGateway, TestApp};
use crate::actor::{ActorHandle, Class, Health, Limits, Placement, RestartPolicy, Spawn, State, spawn};

struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

/// An actor that is up and says so, and what it says it with.
async fn idle(name: &str) -> (ActorHandle<Idle>, Health) {
    let how = Spawn {
        name: name.to_owned(),
        limits: vec![
            (Class::Read, Limits::default()),
            (Class::Write, Limits::default()),
        ],
        placement: Placement::Current,
        restart: RestartPolicy::default(),
        depends_on: Vec::new(),
    };
    let (told, own) = std::sync::mpsc::channel();
    let handle = spawn(how, move |health| {
        health.publish(true, &Value::Null);
        told.send(health.clone()).unwrap();
        Idle
    });
    handle.health().reached(State::Running).await;
    (handle, own.try_recv().unwrap())
}

async fn readiness(app: &TestApp) -> (u16, Value) {
    let answer = app.get("/readyz").await;
    (answer.status.as_u16(), answer.json())
}

#[actix_web::test]
async fn ready_means_started_not_draining_and_the_stores_usable() {
    let (store, own) = idle("cdr").await;
    let app = TestApp::start_with(
        FakeGateway::default(),
        &[("API_PREFIX", "api")],
        vec![Arc::new(store)],
    );
    let not_ready = |reason: &str| (503, json!({"status": "not_ready", "reason": reason}));
    assert_eq!(readiness(&app).await, not_ready("starting"));
    app.lifecycle.started();
    assert_eq!(readiness(&app).await, (200, json!({"status": "ready"})));
    own.publish(false, &json!({"error": "disk full"}));
    assert_eq!(readiness(&app).await, not_ready("store"));
    own.publish(true, &Value::Null);
    assert_eq!(readiness(&app).await.0, 200);
    app.lifecycle.draining();
    app.lifecycle.started();
    assert_eq!(readiness(&app).await, not_ready("draining"));
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
}

#[actix_web::test]
async fn status_shows_each_actor_with_its_load() {
    let ((asterisk, own), (store, _)) = (idle("asterisk.main").await, idle("cdr").await);
    let app = TestApp::start_with(
        FakeGateway::default(),
        &[],
        vec![Arc::new(asterisk), Arc::new(store)],
    );
    let status = app.get("/status").await.json();
    assert_eq!(status["status"], "ok");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));

    own.publish(false, &json!({"connection": "backing_off"}));
    let answer = app.get("/status").await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut status = answer.json();
    assert_eq!(status["status"], "degraded");
    let since = status["actors"]["asterisk.main"]["since"].take();
    assert!(since.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let limits = json!({"in_flight": 8, "waiting": 64, "wait_ms": 1000});
    let expected = json!({
        "state": "running",
        "since": null,
        "restarts": 0,
        "panics": 0,
        "detail": {"connection": "backing_off"},
        "usable": false,
        "blocked_threads": 0,
        "operations": [
            {"class": "read", "in_flight": 0, "waiting": 0, "limits": limits, "breaker": "closed"},
            {"class": "write", "in_flight": 0, "waiting": 0, "limits": limits, "breaker": "closed"},
        ],
    });
    assert_eq!(status["actors"]["asterisk.main"], expected);
    assert_eq!(status["actors"]["cdr"]["usable"], true);
}

#[actix_web::test]
async fn metrics_are_labelled_with_the_routes_pattern_and_nothing_of_the_callers() {
    let app = TestApp::start(FakeGateway::default(), &[("API_PREFIX", "numbers")]);
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
