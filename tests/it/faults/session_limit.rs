//! Asterisk takes 100 sessions in all, the event socket among them, and closes the next at once.

use std::rc::Rc;
use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::{join, join_all};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};

use super::{NUMBER, ORIGINATE, gateway};
use crate::ari::patient;
use crate::support::app::Reply;
use crate::support::calls::call_id;

const CALLERS: u64 = 300;

/// Hang-ups that are asked for beside the calls, and how many are under way at once.
const HANGUPS: u64 = 60;
const HANGUPS_IN_FLIGHT: usize = 8;

/// Connections beside those: the event socket, and two that resynchronise.
const OTHERS: usize = 3;

/// With so many originates at once that take so long, and hang-ups beside them.
async fn never_reached(in_flight: usize, takes: Duration) {
    let simulator = patient().await;
    let asterisk = simulator.asterisk();
    let more = [
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", &*in_flight.to_string()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "1000"),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000"),
        ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "1000"),
        ("MEGE__AUTH__RATE__PER_KEY_PER_S", "1000"),
    ];
    let app = Rc::new(gateway(&simulator, &more).await);
    let place = |number| {
        let app = Rc::clone(&app);
        async move { app.make_call(102, number).await }
    };
    let talking = join_all((0..HANGUPS).map(|_| place(NUMBER))).await;
    for operation in [AriOperation::Originate, AriOperation::Hangup] {
        let slow = AriFault::Delay(takes);
        asterisk.fail(operation, slow, HowOften::UntilCleared);
    }
    let hangups = talking.iter().map(|placed| app.hang_up(call_id(placed)));
    let (placed, ended) = join(
        join_all((0..CALLERS).map(|caller| place(NUMBER + caller))),
        join_all(hangups),
    )
    .await;
    let count =
        |replies: &[Reply], status| replies.iter().filter(|reply| reply.status == status).count() as u64;
    assert_eq!(count(&ended, StatusCode::NO_CONTENT), HANGUPS);
    assert_eq!(count(&placed, StatusCode::OK), CALLERS);
    let sessions = asterisk.sessions();
    assert_eq!(sessions.refused, 0);
    let bound = in_flight + HANGUPS_IN_FLIGHT + OTHERS;
    assert!((in_flight..=bound).contains(&sessions.most), "{sessions:?}");
    assert_eq!(asterisk.originates().len() as u64, HANGUPS + CALLERS);
    let limit = app.count("mege_in_flight_limit", &ORIGINATE).await;
    assert_eq!(limit.to_string(), in_flight.to_string());
}

#[actix_rt::test]
async fn it_is_not_reached_by_as_many_callers_as_there_may_be() {
    never_reached(8, Duration::from_millis(50)).await;
}

#[actix_rt::test]
async fn it_is_not_reached_with_as_many_requests_at_once_as_can_be_set() {
    never_reached(64, Duration::from_millis(400)).await;
}
