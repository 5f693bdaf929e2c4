//! An actor that fails again and again is left down, loudly, until an operator restarts it.

use awc::http::StatusCode;
use mege_gateway::actor::{Drill, Operate as _, State};

use super::{NUMBER, code, gateway, others_are_served, placed_again};
use crate::support::app::{LIMIT, simulator};
use crate::support::calls::assert_refused;
use crate::support::eventually;

/// Failures within 30 s that are forgiven.
const BUDGET: u64 = 5;

const ACTOR: &str = r#"actor="asterisk.main""#;

#[actix_rt::test]
async fn six_panics_in_thirty_seconds_leave_it_down_and_an_operator_brings_it_back() {
    let simulator = simulator().await;
    let app = gateway(&simulator, &[]).await;
    let asterisk = &app.integrations.asterisk["main"];
    // No rebuilt one gets so far that it places a call before the test has looked.
    simulator.asterisk().stop_listening().await;
    for panics in 1..=BUDGET + 1 {
        eventually("it runs", LIMIT, async || {
            (asterisk.health().report().state == State::Running).then_some(())
        })
        .await;
        asterisk.drill(Drill::Panic);
        eventually("it panicked", LIMIT, async || {
            (asterisk.health().report().panics == panics).then_some(())
        })
        .await;
        let reply = app.make_call(102, NUMBER).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.body);
        others_are_served(&app).await;
    }
    let status = app.status_of("asterisk.main").await;
    assert_eq!(
        (&status["state"], &status["restarts"]),
        (&"failed".into(), &BUDGET.into()),
        "{status}"
    );
    assert_eq!(
        app.count("mege_actor_state", &[ACTOR, r#"state="failed""#]).await,
        1.0
    );
    let restarts = async |reason| {
        let labels = [ACTOR, reason];
        app.count("mege_actor_restarts_total", &labels).await
    };
    assert_eq!(restarts(r#"reason="panic""#).await, 5.0);
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 503, "failed", "not_placed", true);
    assert_eq!((code(&reply).as_str(), reply.retry_after), ("failed", Some(30)));
    assert!(simulator.asterisk().originates().is_empty());

    simulator.asterisk().listen_again().expect("the same port");
    let restarted = asterisk.restart().await.expect("a restart");
    assert_eq!(restarted.unfinished, 0);
    app.connected().await;
    placed_again(&app).await;
    assert_eq!(restarts(r#"reason="operator""#).await, 1.0);
    assert_eq!(
        app.count("mege_actor_state", &[ACTOR, r#"state="failed""#]).await,
        0.0
    );
}
