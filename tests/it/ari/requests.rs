//! The one request to originate, and everything that can become of it.

use std::time::Duration;

use futures_util::future::join_all;
use mege_gateway::actor::Class;
use mege_gateway::call::{CallId, CallState};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use mege_gateway::telephony::HangupCause;
use tokio::time::Instant;

use super::{connected, count, hang_up, no_channels, patient};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::calls::{assert_refused, call, call_id, detail, parse_id, until};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;
const ORIGINATE: &str = "POST /channels/{id}";

/// The id of the only call that Asterisk was asked for.
fn only_call(simulator: &Simulator) -> CallId {
    let originates = simulator.asterisk().originates();
    assert_eq!(originates.len(), 1, "asked once");
    parse_id(originates[0].channel_id.as_deref().expect("an id of ours"))
}

#[actix_rt::test]
async fn a_call_is_seen_from_sent_to_ended_and_nothing_of_it_is_kept() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = call_id(&app.make_call(102, NUMBER).await);
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.legs.len(), call.cause), (2, Some(HangupCause::NORMAL)));
    let times = [call.ringing_at, call.answered_at, call.bridged_at, call.ended_at];
    assert!(
        times.iter().all(Option::is_some) && times.is_sorted(),
        "{times:?}"
    );
    assert_eq!(only_call(&simulator), id);
    app.stop().await;
}

#[actix_rt::test]
async fn an_answer_that_was_lost_leaves_one_call_which_is_followed_to_its_end() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.fail(
        AriOperation::Originate,
        AriFault::LoseAnswer,
        HowOften::UntilCleared,
    );
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    let id = only_call(&simulator);
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.legs.len(), call.cause), (2, Some(HangupCause::NORMAL)));
    assert_eq!(count(&simulator, ORIGINATE), 1, "never dialled again");
}

#[actix_rt::test]
async fn a_call_of_unknown_outcome_is_found_by_its_channel_when_no_event_tells_of_it() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.freeze_event_sockets();
    asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    let id = only_call(&simulator);
    let unknown = until(&app, id, CallState::Unknown).await;
    assert!(!unknown.closed && unknown.error.is_some());
    let found = until(&app, id, CallState::Bridged).await;
    assert_eq!((found.legs.len(), found.error), (2, None));
    hang_up(&simulator, id).await;
    asterisk.cut_event_sockets();
    let ended = until(&app, id, CallState::Ended).await;
    assert!(ended.legs.iter().all(|leg| leg.ended_at.is_some()));
}

#[actix_rt::test]
async fn a_slow_answer_is_not_waited_for_and_the_call_is_seen_all_the_same() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "300".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    // Longer than the test has.
    let slow = AriFault::Delay(Duration::from_secs(3_600));
    simulator
        .asterisk()
        .fail(AriOperation::Originate, slow, HowOften::Next(1));
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    until(&app, only_call(&simulator), CallState::Ended).await;
}

#[actix_rt::test]
async fn a_500_that_is_not_asterisks_own_says_nothing_of_the_call() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Originate, AriFault::ServerError, HowOften::Next(1));
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    assert_eq!(count(&simulator, ORIGINATE), 1);
    let looks = count(&simulator, "GET /channels");
    eventually("Asterisk is asked about it", LIMIT, async || {
        (count(&simulator, "GET /channels") > looks).then_some(())
    })
    .await;
    assert_eq!(count(&simulator, ORIGINATE), 1, "asked about, not dialled again");
    call_id(&app.make_call(102, NUMBER).await);
}

#[actix_rt::test]
async fn an_asterisk_that_never_answers_costs_its_deadline_and_gives_every_permit_back() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.extend([
        ("MEGE__HTTP__TIMEOUT_MS", "1000".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "2".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "100".to_owned()),
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000".to_owned()),
    ]);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
    let begun = Instant::now();
    let replies = join_all((0..6).map(|_| app.make_call(102, NUMBER))).await;
    // A second; or, by Asterisk's own deadline, a minute.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let (begun, shed): (Vec<_>, Vec<_>) = replies
        .iter()
        .partition(|reply| reply.json()["error"]["outcome"] == "unknown");
    assert_eq!(begun.len(), 2, "as many as may be in flight: {replies:?}");
    for reply in begun {
        assert_refused(reply, 502, "originate_outcome_unknown", "unknown", false);
    }
    for reply in shed {
        assert_refused(reply, 503, "saturated", "not_placed", true);
    }
    assert_eq!(count(&simulator, ORIGINATE), 2);
    let load = || {
        app.integrations.asterisk["main"]
            .load_of(Class::Originate)
            .expect("a class of it")
    };
    eventually("every permit is back", LIMIT, async || {
        (load().in_flight == 0 && load().waiting == 0).then_some(())
    })
    .await;
    asterisk.clear_faults();
    let id = call_id(&app.make_call(102, NUMBER).await);
    until(&app, id, CallState::Ended).await;
}

#[actix_rt::test]
async fn an_asterisk_that_refuses_connections_is_said_at_once() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    // Whoever waited for this would be told of the deadline of HTTP instead.
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    asterisk.stop_listening().await;
    for _ in 0..5 {
        let reply = app.make_call(102, NUMBER).await;
        assert_eq!(reply.status.as_u16(), 503, "{}", reply.body);
        let error = &reply.json()["error"];
        assert_eq!(error["outcome"], "not_placed", "{}", reply.body);
        assert!(reply.retry_after.is_some());
    }
    assert!(asterisk.originates().is_empty());
}

#[actix_rt::test]
async fn a_trunk_that_asterisk_learns_later_works_without_a_restart() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("ASTERISK_PBX3CX_TRUNK_ID", "later".to_owned()));
    let app = TestApp::start(&variables).await;
    eventually("the trunk is said to be unknown", LIMIT, async || {
        let status = app.get("/status").await.json();
        let detail = &status["actors"]["asterisk.main"]["detail"];
        let error = detail["error"].as_str().unwrap_or_default();
        (detail["trunk_known"] == false && error.contains("trunk later")).then_some(())
    })
    .await;
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "unknown_trunk", "not_placed", true);
    simulator.asterisk().add_trunk("later");
    app.connected().await;
    assert_eq!(detail(&app)["connects"], 1, "the socket stayed");
    let id = call_id(&app.make_call(102, NUMBER).await);
    assert_eq!(until(&app, id, CallState::Ended).await.legs.len(), 2);
}

#[actix_rt::test]
async fn two_hundred_calls_that_end_in_every_way_leave_nothing_behind() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        // Answered, busy, no answer, refused.
        for last in [1, 7, 8, 9] {
            ids.push(call_id(&app.make_call(102, 79_990_000_000 + last).await));
        }
    }
    for id in ids {
        until(&app, id, CallState::Ended).await;
        assert!(call(&app, id).await.closed);
    }
    no_channels(&simulator).await;
    // It counts its calls when it connects.
    simulator.asterisk().cut_event_sockets();
    connected(&app, 2).await;
    eventually("no call is open", LIMIT, async || {
        (detail(&app)["open_calls"] == 0).then_some(())
    })
    .await;
}
