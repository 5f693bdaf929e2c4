//! The event socket: lost, half-open, taken over, flooded, full of nonsense.

use std::time::Duration;

use awc::Client;
use mege_gateway::call::CallState;
use mege_gateway::simulator::SimulatorSettings;
use mege_gateway::telephony::HangupCause;
use tokio::time::Instant;

use super::{BRIEF, connected, count, hang_up, lasting, no_channels, no_event_sockets, patient};
use crate::support::app::{LIMIT, TestApp, simulated};
use crate::support::calls::{assert_refused, call_id, detail, talking, until};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;
const CONNECT: &str = "GET /events";

#[actix_rt::test]
async fn a_call_that_ended_while_the_socket_was_down_is_closed_without_a_cause() {
    let simulator = lasting(BRIEF).await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    simulator.asterisk().stop_listening().await;
    no_channels(&simulator).await;
    simulator.asterisk().listen_again().expect("the same port");
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.cause, call.closed), (None, true));
    assert!(call.error.is_some(), "it says that its end was not seen");
    assert!(
        call.legs
            .iter()
            .all(|leg| leg.ended_at.is_some() && leg.cause.is_none())
    );
}

#[actix_rt::test]
async fn a_call_that_outlives_its_socket_is_followed_and_nothing_is_set_twice() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    simulator.asterisk().cut_event_sockets();
    connected(&app, 2).await;
    hang_up(&simulator, id).await;
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.legs.len(), call.cause), (2, Some(HangupCause::NORMAL)));
    assert!(call.legs.iter().all(|leg| leg.ended_at.is_some()));
    let set = [
        "POST /applications/{name}/subscription",
        "PUT /applications/{name}/eventFilter",
        CONNECT,
    ];
    assert_eq!(set.map(|request| count(&simulator, request)), [2, 1, 2]);
}

#[actix_rt::test]
async fn a_half_open_socket_is_found_and_what_it_did_not_say_is_read() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    simulator.asterisk().freeze_event_sockets();
    hang_up(&simulator, id).await;
    connected(&app, 2).await;
    assert_eq!(until(&app, id, CallState::Ended).await.cause, None);
    let actor = [r#"actor="asterisk.main""#];
    assert_eq!(app.count("mege_ari_connects_total", &actor).await, 2.0);
    assert_eq!(app.count("mege_ari_gaps_total", &actor).await, 1.0);
}

#[actix_rt::test]
async fn sockets_that_are_refused_or_dropped_at_once_are_tried_ever_less_often() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let asterisk = simulator.asterisk();
    let (before, begun) = (count(&simulator, CONNECT), Instant::now());
    no_event_sockets(&simulator);
    let tried = async |tries: u64| {
        eventually("it tries again", LIMIT, async || {
            asterisk.cut_event_sockets();
            (count(&simulator, CONNECT) - before >= tries).then_some(())
        })
        .await;
        begun.elapsed()
    };
    // The delays are at least 0.25, 0.5, 1 and 2 s, and no success among them makes them shorter.
    let refused = tried(2).await;
    assert!(refused >= Duration::from_millis(750), "{refused:?}");
    asterisk.clear_faults();
    let dropped = tried(4).await;
    assert!(dropped >= Duration::from_millis(3_750), "{dropped:?}");
    app.connected().await;
    let actor = [r#"actor="asterisk.main""#];
    eventually("each try is counted", LIMIT, async || {
        let tried = app.count("mege_ari_connect_attempts_total", &actor).await;
        (tried.to_string() == count(&simulator, CONNECT).to_string()).then_some(())
    })
    .await;
    let opened = app.count("mege_ari_connects_total", &actor).await;
    assert!((2.0..=6.0).contains(&opened), "{opened} were opened");
}

#[actix_rt::test]
async fn another_gateway_that_takes_our_application_is_not_fought() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;

    let name = detail(&app)["app"].as_str().expect("a name").to_owned();
    let settings = SimulatorSettings::default();
    let url = format!("http://{}/ari/events?app={name}", simulator.ari_address());
    let other = Client::new()
        .ws(url)
        .basic_auth(settings.user, Some(&settings.password))
        .connect();
    let (_, other) = other.await.expect("a socket");
    eventually("the loss is known", LIMIT, async || {
        let status = app.get("/status").await.json();
        (status["actors"]["asterisk.main"]["detail"]["connection"] == "replaced").then_some(())
    })
    .await;
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 503, "not_connected", "not_placed", true);

    // No event tells us of it any more.
    hang_up(&simulator, id).await;
    assert_eq!(until(&app, id, CallState::Ended).await.cause, None);
    assert_eq!(count(&simulator, CONNECT), 2, "ours and the other's");

    drop(other);
    simulator.asterisk().cut_event_sockets();
    connected(&app, 2).await;
    call_id(&app.make_call(102, NUMBER).await);
}

#[actix_rt::test]
async fn frames_that_make_no_sense_are_counted_and_passed_over() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let before = app.count("mege_ari_bad_frames_total", &[]).await;
    let asterisk = simulator.asterisk();
    for text in [
        "{not json",
        "[]",
        "{}",
        r#"{"type":"ChannelDestroyed","cause":"x"}"#,
    ] {
        asterisk.send_raw(text);
    }
    asterisk.send_raw(r#"{"type":"OfALaterAsterisk","channel":7}"#);
    asterisk.send_binary(vec![0_u8, 255, 7]);
    talking(&app).await;
    let bad = app.count("mege_ari_bad_frames_total", &[]).await - before;
    assert!(bad >= 5.0, "{bad} were counted");
    assert_eq!(detail(&app)["connects"], 1);
}

#[actix_rt::test]
async fn a_frame_above_every_bound_costs_the_connection_and_nothing_else() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    simulator.asterisk().send_raw("x".repeat(10 * 1024 * 1024));
    connected(&app, 2).await;
    let bad = app.count("mege_ari_bad_frames_total", &[r#"actor="asterisk.main""#]);
    assert_eq!(bad.await, 1.0);
    hang_up(&simulator, id).await;
    until(&app, id, CallState::Ended).await;
}

#[actix_rt::test]
async fn a_storm_of_events_neither_hides_calls_nor_holds_asterisk_up() {
    let simulator = patient().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let id = talking(&app).await;
    for _ in 0..6 {
        simulator.asterisk().flood("3cx", 10_000);
        // Busy: told of behind the storm, on the same socket.
        let id = call_id(&app.make_call(107, NUMBER).await);
        until(&app, id, CallState::Ended).await;
    }
    hang_up(&simulator, id).await;
    until(&app, id, CallState::Ended).await;
    // The simulator closes a socket that it could not write to for 100 ms, or for which too much waits.
    assert_eq!(detail(&app)["connects"], 1);
}
