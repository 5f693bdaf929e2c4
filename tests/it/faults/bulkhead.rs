//! One of two Asterisks is a black hole with 500 callers before it: the other, and everything else, works on.

use std::rc::Rc;
use std::time::Duration;

use mege_gateway::ari::AriHandle;
use mege_gateway::call::CallId;
use tokio::time::Instant;

use super::{NUMBER, ORIGINATE, behind_proxy, others_are_served};
use crate::support::app::{LIMIT, simulated_as, simulator};
use crate::support::calls::originate;
use crate::support::eventually;
use crate::support::fault_proxy::{EVENTS, Fault};

const WAITING: u64 = 500;
const CALLS: u64 = 200;

/// Places calls one after the other. Behind the black hole each would wait for a minute, and fail.
async fn calls(asterisk: &AriHandle, first: u64) {
    for number in first..first + CALLS {
        let originate = originate(CallId::mint(), 102, number);
        let placed = asterisk.ask(originate, Instant::now() + Duration::from_secs(30));
        placed.await.expect("a call");
    }
}

#[actix_rt::test]
async fn five_hundred_callers_of_a_black_hole_cost_its_neighbour_no_call() {
    let b = simulator().await;
    let variables = simulated_as("B", &b);
    let mut more: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    more.extend([
        ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "1000"),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000"),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "64"),
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000"),
        ("MEGE__HTTP__TIMEOUT_MS", "60000"),
    ]);
    let (a, proxy, app) = behind_proxy(&more).await;
    let app = Rc::new(app);
    let neighbour = &app.integrations.asterisk["b"];
    eventually("the other is connected", LIMIT, async || {
        neighbour.health().is_usable().then_some(())
    })
    .await;
    calls(neighbour, NUMBER).await;

    proxy.set_sparing(EVENTS, Fault::BlackHole);
    for caller in 0..WAITING {
        let app = Rc::clone(&app);
        actix_rt::spawn(async move { app.make_call(102, NUMBER + caller).await });
    }
    let full = async || {
        let in_flight = app.count("mege_in_flight", &ORIGINATE).await;
        let waiting = app.count("mege_waiting", &ORIGINATE).await;
        (in_flight == 64.0 && waiting == 436.0).then_some(())
    };
    eventually("all of them hang", LIMIT, full).await;
    assert_eq!(app.count("mege_waiting_limit", &ORIGINATE).await, 1_000.0);

    calls(neighbour, NUMBER + CALLS).await;
    others_are_served(&app).await;
    assert!(full().await.is_some(), "they hung all the while");
    assert_eq!(b.asterisk().originates().len() as u64, 2 * CALLS);
    let of_b = [r#"actor="asterisk.b""#];
    assert_eq!(app.count("mege_shed_total", &of_b).await, 0.0);
    assert_eq!(app.count("mege_circuit_opened_total", &of_b).await, 0.0);
    assert!(a.asterisk().originates().is_empty());
}
