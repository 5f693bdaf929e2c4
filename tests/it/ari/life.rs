//! Calls outlive the gateway that placed them, and its actor.

use awc::Client;
use mege_gateway::actor::InjectedFault;
use mege_gateway::call::CallState;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use mege_gateway::telephony::HangupCause;
use serde_json::Value;
use tempfile::TempDir;

use super::{connected, count, hang_up, patient};
use crate::support::app::{LIMIT, TestApp, simulated};
use crate::support::calls::{call, call_id, detail, parse_id, until};
use crate::support::eventually;
use crate::support::program::{Program, free_tcp_port};

const NUMBER: u64 = 79_990_000_001;

/// The variables of a gateway whose store outlives it.
fn kept(simulator: &Simulator, folder: &TempDir) -> Vec<(&'static str, String)> {
    let mut variables = simulated(simulator);
    let store = format!("sqlite:{}", folder.path().join("kept.sqlite").display());
    variables.push(("DATABASE_URL", store));
    variables
}

#[actix_rt::test]
async fn a_gateway_that_comes_back_follows_the_calls_it_had_placed() {
    let simulator = patient().await;
    let folder = tempfile::tempdir().expect("a folder");
    let variables = kept(&simulator, &folder);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let name = detail(&app)["app"].clone();
    let talking = call_id(&app.make_call(102, NUMBER).await);
    let missed = call_id(&app.make_call(103, NUMBER).await);
    // The extension never answers.
    let ringing = call_id(&app.make_call(108, NUMBER).await);
    until(&app, talking, CallState::Bridged).await;
    until(&app, missed, CallState::Bridged).await;
    until(&app, ringing, CallState::Ringing).await;
    app.stop().await;
    hang_up(&simulator, missed).await;

    let app = TestApp::start(&variables).await;
    app.connected().await;
    assert_eq!(detail(&app)["app"], name, "the same application");
    let call = until(&app, missed, CallState::Ended).await;
    assert_eq!((call.cause, call.closed), (None, true));
    hang_up(&simulator, talking).await;
    let call = until(&app, talking, CallState::Ended).await;
    assert_eq!((call.legs.len(), call.cause), (2, Some(HangupCause::NORMAL)));
    hang_up(&simulator, ringing).await;
    let call = until(&app, ringing, CallState::Ended).await;
    assert_eq!((call.legs.len(), call.answered_at), (1, None));
    assert_eq!(
        simulator.asterisk().originates().len(),
        3,
        "nothing was dialled again"
    );
}

#[actix_rt::test]
async fn a_gateway_that_comes_back_finds_out_about_its_calls_of_unknown_outcome() {
    let simulator = patient().await;
    let folder = tempfile::tempdir().expect("a folder");
    let variables = kept(&simulator, &folder);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.freeze_event_sockets();
    asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
    assert_eq!(app.make_call(102, NUMBER).await.status.as_u16(), 502);
    let id = asterisk.originates()[0].channel_id.clone();
    let id = parse_id(&id.expect("an id of ours"));
    app.stop().await;

    let app = TestApp::start(&variables).await;
    app.connected().await;
    let found = until(&app, id, CallState::Bridged).await;
    assert_eq!((found.legs.len(), found.error), (2, None));
    hang_up(&simulator, id).await;
    until(&app, id, CallState::Ended).await;
    assert_eq!(asterisk.originates().len(), 1, "never dialled again");
}

#[actix_rt::test]
async fn a_gateway_that_was_killed_follows_its_calls_when_it_is_back() {
    let simulator = patient().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut variables = kept(&simulator, &folder);
    // Its port is a part of what a gateway is known by.
    let port = free_tcp_port();
    variables.push(("APP_PORT", port.to_string()));
    let program = Program::start(&["serve"], &variables);
    program.says("listening").await;
    let root = format!("http://127.0.0.1:{port}");
    let url = format!("{root}/pbx-api/make-call");
    let id = eventually("a call is placed", LIMIT, async || {
        let body = serde_json::json!({ "source_caller_id": NUMBER, "caller_id": 102 });
        let mut reply = Client::new().post(&url).send_json(&body).await.ok()?;
        let body: Value = reply.json().await.ok()?;
        body["uniqueid"].as_str().map(parse_id)
    })
    .await;
    eventually("both legs are there", LIMIT, async || {
        (simulator.asterisk().live_channels() == 2).then_some(())
    })
    .await;
    // What is placed and killed within a few milliseconds may not be on disk yet.
    eventually("the ledger has written", LIMIT, async || {
        let mut reply = Client::new().get(format!("{root}/metrics")).send().await.ok()?;
        let body = reply.body().await.ok()?;
        std::str::from_utf8(&body)
            .ok()?
            .contains("mege_ledger_unwritten 0")
            .then_some(())
    })
    .await;
    program.signal("KILL");
    drop(program);

    let app = TestApp::start(&variables).await;
    app.connected().await;
    let found = until(&app, id, CallState::Bridged).await;
    assert_eq!(found.legs.len(), 2);
    hang_up(&simulator, id).await;
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!(call.cause, Some(HangupCause::NORMAL));
    assert_eq!(simulator.asterisk().originates().len(), 1, "never dialled again");
}

#[actix_rt::test]
async fn a_call_that_never_was_stays_unknown_over_a_restart() {
    let simulator = patient().await;
    let folder = tempfile::tempdir().expect("a folder");
    let variables = kept(&simulator, &folder);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Originate, AriFault::ServerError, HowOften::Next(1));
    assert_eq!(app.make_call(102, NUMBER).await.status.as_u16(), 502);
    app.stop().await;

    let app = TestApp::start(&variables).await;
    app.connected().await;
    eventually("it was taken over", LIMIT, async || {
        (detail(&app)["open_calls"] == 1).then_some(())
    })
    .await;
    assert!(asterisk.originates().is_empty(), "never dialled again");
}

#[actix_rt::test]
async fn an_actor_that_panics_is_rebuilt_and_follows_its_calls() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let mut calls = Vec::new();
    for extension in 100..105 {
        calls.push(call_id(&app.make_call(extension, NUMBER).await));
    }
    for id in &calls {
        until(&app, *id, CallState::Bridged).await;
    }
    let name = detail(&app)["app"].clone();
    let asterisk = &app.integrations.asterisk["main"];
    asterisk.inject(InjectedFault::Panic);
    eventually("rebuilt, with a socket of its own", LIMIT, async || {
        let rebuilt = asterisk.health().report().restarts == 1;
        (rebuilt && count(&simulator, "GET /events") == 2).then_some(())
    })
    .await;
    connected(&app, 1).await;
    assert_eq!(detail(&app)["app"], name);
    for id in calls {
        assert_eq!(call(&app, id).await.state, CallState::Bridged);
        hang_up(&simulator, id).await;
        let call = until(&app, id, CallState::Ended).await;
        assert_eq!((call.legs.len(), call.cause), (2, Some(HangupCause::NORMAL)));
    }
}
