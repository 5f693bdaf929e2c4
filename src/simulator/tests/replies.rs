//! Answers of ARI that are none.

use awc::error::PayloadError;

use super::*;
use crate::simulator::{AriFault, AriOperation, HowOften};

const CALL: &str = "channels/one?endpoint=PJSIP/101@3cx&extension=79000000001";
const ONE: HowOften = HowOften::Next(1);

#[actix_rt::test]
async fn an_answer_can_be_nonsense_to_a_request_that_was_carried_out() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    let nonsense = "{\"id\":";
    asterisk.fail(AriOperation::Originate, AriFault::Body(nonsense.to_owned()), ONE);
    let mut answer = request(&simulator, "POST", CALL).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("content-type").unwrap(), "application/json");
    assert_eq!(answer.body().await.unwrap(), nonsense);
    assert_eq!(asterisk.originates().len(), 1, "it was carried out");
    assert_eq!(ask(&simulator, "DELETE", "channels/one").await.0, 204);
}

#[actix_rt::test]
async fn a_hangup_can_go_wrong_while_originates_do_not() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Hangup, AriFault::Hang, HowOften::UntilCleared);
    assert_eq!(ask(&simulator, "POST", CALL).await.0, 200);
    let short = Duration::from_millis(50);
    let hung = request(&simulator, "DELETE", "channels/one").timeout(short);
    assert!(hung.send().await.is_err());
    until(async || asterisk.sessions().open == 0).await;
    assert_eq!(asterisk.requests()["DELETE /channels/{id}"], 1);
    asterisk.fail(AriOperation::Hangup, AriFault::ServerError, ONE);
    assert_eq!(ask(&simulator, "DELETE", "channels/one").await.0, 500);
}

#[actix_rt::test]
async fn an_answer_can_be_too_large_and_is_made_only_as_far_as_it_is_read() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Other, AriFault::Oversized(1_000_000), ONE);
    let mut answer = request(&simulator, "GET", "channels").send().await.unwrap();
    assert!(!answer.headers().contains_key("content-length"));
    let body = answer.body().limit(1_000_000).await.unwrap();
    assert_eq!(body.len(), 1_000_000);
    assert!(serde_json::from_slice::<String>(&body).is_ok(), "a JSON text");
    assert_eq!(asterisk.oversized_bytes(), 1_000_000);

    const HUGE: usize = 1_000_000_000;
    asterisk.fail(AriOperation::Other, AriFault::Oversized(HUGE), ONE);
    let mut answer = request(&simulator, "GET", "channels").send().await.unwrap();
    let body = answer.body().limit(1_000).await;
    assert!(matches!(body, Err(PayloadError::Overflow)));
    drop(answer);
    // What buffers hold of it: it ends with the connection.
    until(async || asterisk.sessions().open == 0).await;
    let sent = asterisk.oversized_bytes();
    assert!(sent < 50_000_000, "{sent} bytes went");
}

#[actix_rt::test]
async fn an_event_socket_can_be_answered_with_nonsense_instead() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    let connect = async || {
        let socket = awc::Client::default().ws(url(&simulator, "events?app=gw"));
        let socket = socket.basic_auth("simulator", Some("simulator")).connect();
        socket.await.map(|_| ())
    };
    for fault in [AriFault::Body("[]".to_owned()), AriFault::Oversized(100)] {
        asterisk.fail(AriOperation::Connect, fault, ONE);
        assert!(connect().await.is_err());
        assert!(!asterisk.is_connected("gw"));
    }
    connect().await.unwrap();
}
