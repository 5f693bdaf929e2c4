//! An Asterisk that refuses connections is left alone after a few tries.

use super::{NUMBER, ORIGINATE, behind_proxy, code, originates, others_are_served, placed_again};
use crate::support::app::LIMIT;
use crate::support::calls::assert_refused;
use crate::support::eventually;
use crate::support::fault_proxy::{EVENTS, Fault};

/// Failures in a row that open the breaker.
const ENOUGH: usize = 5;

/// 21 refusals, each of them not placed and with a time to come back.
async fn refusals(app: &crate::support::app::TestApp, allowed: &[&str]) {
    for _ in 0..21 {
        let reply = app.make_call(102, NUMBER).await;
        let code = code(&reply);
        assert!(allowed.contains(&code.as_str()), "{code}");
        assert_refused(&reply, 503, &code, "not_placed", true);
    }
}

#[actix_rt::test]
async fn requests_that_are_refused_open_the_breaker_and_nobody_else_notices() {
    let (simulator, proxy, app) = behind_proxy(&[]).await;
    proxy.set_sparing(EVENTS, Fault::Down);
    for _ in 0..ENOUGH {
        assert_eq!(app.count("mege_circuit_opened_total", &ORIGINATE).await, 0.0);
        let reply = app.make_call(102, NUMBER).await;
        assert_refused(&reply, 503, "request_not_sent", "not_placed", true);
    }
    assert_eq!(app.count("mege_circuit_opened_total", &ORIGINATE).await, 1.0);
    assert_eq!(originates(&app, "not_sent").await, 5.0);
    // Now and then one of them is the probe, and opens it again.
    refusals(&app, &["circuit_open", "request_not_sent"]).await;
    assert!(app.count("mege_circuit_state", &ORIGINATE).await > 0.0);
    let shed = [&ORIGINATE[..], &[r#"reason="circuit_open""#]].concat();
    assert!(app.count("mege_shed_total", &shed).await > 10.0);
    others_are_served(&app).await;
    assert!(simulator.asterisk().originates().is_empty());

    proxy.clear();
    placed_again(&app).await;
}

#[actix_rt::test]
async fn without_its_event_socket_nothing_is_sent_at_all() {
    let (simulator, proxy, app) = behind_proxy(&[]).await;
    proxy.set(Fault::Down);
    let usable = [r#"actor="asterisk.main""#];
    eventually("the loss is known", LIMIT, async || {
        (app.count("mege_actor_usable", &usable).await == 0.0).then_some(())
    })
    .await;
    refusals(&app, &["not_connected"]).await;
    assert_eq!(originates(&app, "not_connected").await, 21.0);
    // Nothing was asked of it, so nothing is known against it.
    assert_eq!(app.count("mege_circuit_state", &ORIGINATE).await, 0.0);
    others_are_served(&app).await;
    assert!(simulator.asterisk().originates().is_empty());

    proxy.clear();
    app.connected().await;
    placed_again(&app).await;
}
