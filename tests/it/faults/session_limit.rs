//! Asterisk takes 100 sessions in all, the event socket among them, and closes the next at once.

use std::rc::Rc;
use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};

use super::{NUMBER, ORIGINATE, gateway};
use crate::support::app::simulator;

const CALLERS: u64 = 300;

/// Connections beside those of the originates: the event socket, and two that resynchronise.
const OTHERS: usize = 3;

/// With so many originates at once.
async fn never_reached(in_flight: usize) {
    let simulator = simulator().await;
    let asterisk = simulator.asterisk();
    let more = [
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", &*in_flight.to_string()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "1000"),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000"),
    ];
    let app = Rc::new(gateway(&simulator, &more).await);
    let slow = AriFault::Delay(Duration::from_millis(20));
    asterisk.fail(AriOperation::Originate, slow, HowOften::UntilCleared);
    let calls = (0..CALLERS).map(|caller| {
        let app = Rc::clone(&app);
        async move { app.make_call(102, NUMBER + caller).await.status }
    });
    let placed = join_all(calls).await;
    let placed = placed.iter().filter(|status| **status == StatusCode::OK).count();
    let sessions = asterisk.sessions();
    assert_eq!(sessions.refused, 0);
    assert!(
        (in_flight..=in_flight + OTHERS).contains(&sessions.most),
        "{sessions:?}"
    );
    assert!(placed > 0 && asterisk.originates().len() == placed);
    let limit = app.count("mege_in_flight_limit", &ORIGINATE).await;
    assert_eq!(limit.to_string(), in_flight.to_string());
}

#[actix_rt::test]
async fn it_is_not_reached_by_as_many_callers_as_there_may_be() {
    never_reached(8).await;
}

#[actix_rt::test]
async fn it_is_not_reached_with_as_many_requests_at_once_as_can_be_set() {
    never_reached(64).await;
}
