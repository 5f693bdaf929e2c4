//! Calls are ended by the route, whatever else goes on.

use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;
use mege_gateway::actor::{Class, Operate as _};
use mege_gateway::call::{CallId, CallState};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use mege_gateway::telephony::HangupCause;
use tokio::time::Instant;

use crate::access::{header, make};
use crate::ari::{no_channels, no_event_sockets, patient};
use crate::support::app::{LIMIT, Reply, TestApp, simulated};
use crate::support::calls::{call_id, talking, until};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;
const HANGUP: &str = "DELETE /channels/{id}";

/// The problem that a hang-up was refused with.
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    assert_eq!(header(reply, "content-type"), Some("application/problem+json"));
    let body = reply.json();
    assert_eq!(body["code"], code, "{}", reply.body);
    assert_eq!(body["outcome"], serde_json::Value::Null, "{}", reply.body);
}

#[actix_rt::test]
async fn a_call_that_rings_and_one_that_is_talked_on_are_hung_up() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let ringing = call_id(&app.make_call(108, NUMBER).await);
    let talking = call_id(&app.make_call(102, NUMBER).await);
    until(&app, ringing, CallState::Ringing).await;
    until(&app, talking, CallState::Bridged).await;
    for (id, legs) in [(ringing, 1), (talking, 2)] {
        let reply = app.hang_up(id).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (204, ""));
        let call = until(&app, id, CallState::Ended).await;
        assert_eq!((call.legs.len(), call.cause), (legs, Some(HangupCause::NORMAL)));
        // Safe to repeat: Asterisk is asked, and has no such channel any more.
        assert_problem(&app.hang_up(id).await, 404, "not_found");
    }
    no_channels(&simulator).await;
    let asked = simulator.asterisk().requests()[HANGUP];
    assert_eq!(asked, 4);

    // Of an id that no record has, Asterisk is asked before there is said to be no such call; of what is no id, nobody is.
    for (id, looks) in [
        (CallId::mint().to_string(), 1),
        ("1".to_owned(), 1),
        ("%2e%2e".to_owned(), 1),
    ] {
        let path = format!("/v1/calls/{id}");
        assert_problem(&app.send(Method::DELETE, &path, &[], "").await, 404, "not_found");
        assert_eq!(simulator.asterisk().requests()["GET /channels/{id}"], looks);
    }
    assert_eq!(simulator.asterisk().requests()[HANGUP], asked);
}

#[actix_rt::test]
async fn a_key_of_another_pbx_does_not_see_the_call() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    let foreign = make(&app, "foreign", &["calls:write"], Some(&["branch"])).await;
    let right = make(&app, "right", &["calls:write"], Some(&["main"])).await;
    let path = format!("/v1/calls/{id}");
    let with = async |key: &str| app.send(Method::DELETE, &path, &[("x-api-key", key)], "").await;
    assert_problem(&with(foreign.secret.expose()).await, 404, "not_found");
    assert_eq!(simulator.asterisk().live_channels(), 2);
    assert_eq!(with(right.secret.expose()).await.status.as_u16(), 204);
    until(&app, id, CallState::Ended).await;
}

#[actix_rt::test]
async fn an_asterisk_that_does_not_answer_a_hangup_costs_its_time_and_it_may_be_sent_again() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "300".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let id = talking(&app).await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Hangup, AriFault::Hang, HowOften::Next(1));
    let begun = Instant::now();
    let reply = app.hang_up(id).await;
    // Its own 300 ms, and not the 30 s of HTTP.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_problem(&reply, 504, "deadline_exceeded");
    assert_eq!(reply.json()["retryable"], true);
    // Carried out, and the answer lost.
    asterisk.fail(AriOperation::Hangup, AriFault::LoseAnswer, HowOften::Next(1));
    assert_problem(&app.hang_up(id).await, 504, "deadline_exceeded");
    until(&app, id, CallState::Ended).await;
    assert_problem(&app.hang_up(id).await, 404, "not_found");
}

#[actix_rt::test]
async fn a_call_is_hung_up_while_no_event_socket_can_be_had() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    let asterisk = simulator.asterisk();
    no_event_sockets(&simulator);
    eventually("the loss is known", LIMIT, async || {
        (!app.integrations.asterisk["main"].health().is_usable()).then_some(())
    })
    .await;
    assert_eq!(app.hang_up(id).await.status.as_u16(), 204);
    no_channels(&simulator).await;
    asterisk.clear_faults();
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!(call.cause, None, "nobody saw how it ended");
}

#[actix_rt::test]
async fn a_hangup_waits_for_no_originate() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.extend([
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "2".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000".to_owned()),
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000".to_owned()),
    ]);
    let app = Rc::new(TestApp::start(&variables).await);
    app.connected().await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(call_id(&app.make_call(102, NUMBER).await));
    }
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
    for _ in 0..20 {
        let app = Rc::clone(&app);
        actix_rt::spawn(async move { app.make_call(102, NUMBER).await });
    }
    let load = || {
        let handle = &app.integrations.asterisk["main"];
        handle.load_of(Class::Originate).expect("a class of it")
    };
    eventually("originates hang, and others wait for them", LIMIT, async || {
        (load().in_flight == 2 && load().waiting > 0).then_some(())
    })
    .await;
    for id in ids {
        // Behind those it would not be answered within the 30 s of HTTP.
        assert_eq!(app.hang_up(id).await.status.as_u16(), 204);
        until(&app, id, CallState::Ended).await;
    }
    assert_eq!(load().in_flight, 2, "they hang still");
    no_channels(&simulator).await;
}

#[actix_rt::test]
async fn a_paused_asterisk_places_no_call_and_still_ends_one() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    assert!(app.integrations.asterisk["main"].pause());
    let refused = app.make_call(102, NUMBER).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (503, &"paused".into())
    );
    assert_eq!(app.hang_up(id).await.status.as_u16(), 204);
    until(&app, id, CallState::Ended).await;
}
