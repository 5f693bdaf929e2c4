//! A peer that hangs on one kind of operation and answers the others.

use std::time::Duration;

use awc::http::{Method, StatusCode};
use mege_gateway::actor::{AskError, BreakerState, Class};
use mege_gateway::pac::{ExecuteSql, MakeCall, PacError, Statement};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, PacFault, PacOperation};
use mege_gateway::telephony::{Extension, PhoneNumber};
use tokio::time::Instant;

use super::{NUMBER, ORIGINATE, code, gateway, others_are_served, placed_again};
use crate::ari::{count, patient};
use crate::support::app::{LIMIT, simulator};
use crate::support::calls::{assert_refused, detail, talking};
use crate::support::eventually;

const ENOUGH: u64 = 5;

const HANGUP: [&str; 2] = [r#"actor="asterisk.main""#, r#"class="hangup""#];

#[actix_rt::test]
async fn an_asterisk_that_hangs_on_originates_and_hangups_is_watched_and_read_as_ever() {
    let simulator = patient().await;
    let asterisk = simulator.asterisk();
    let app = gateway(&simulator, &[("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "300")]).await;
    let talking = talking(&app).await;
    for operation in [AriOperation::Originate, AriOperation::Hangup] {
        asterisk.fail(operation, AriFault::Hang, HowOften::UntilCleared);
    }
    let read = || count(&simulator, "GET /channels");
    let before = read();
    for _ in 0..ENOUGH {
        let reply = app.make_call(102, NUMBER).await;
        assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    }
    // A probe that is due hangs as well, and opens it for longer.
    eventually("it is left alone, and /status says so", LIMIT, async || {
        let reply = app.make_call(102, NUMBER).await;
        let open = app.count("mege_circuit_state", &ORIGINATE).await == 2.0;
        let status = app.send(Method::GET, "/status", &[], "").await.json();
        let asterisk = &status["actors"]["asterisk.main"];
        assert_eq!(asterisk["state"], "running");
        assert_eq!(
            asterisk["last_error"],
            "originate: Asterisk did not answer in time"
        );
        (code(&reply) == "circuit_open" && open && status["status"] == "degraded").then_some(())
    })
    .await;
    others_are_served(&app).await;
    // Nothing of that is held against hang-ups, until they hang as well.
    assert_eq!(app.count("mege_circuit_state", &HANGUP).await, 0.0);
    for _ in 0..ENOUGH {
        let reply = app.hang_up(talking).await;
        assert_eq!(reply.json()["code"], "deadline_exceeded", "{}", reply.body);
    }
    assert_eq!(app.count("mege_circuit_opened_total", &HANGUP).await, 1.0);
    // Whether those calls live is asked, and answered.
    eventually("Asterisk is asked", LIMIT, async || {
        (read() > before).then_some(())
    })
    .await;
    let detail = detail(&app);
    assert_eq!(
        (&detail["connects"], &detail["connection"]),
        (&1.into(), &"connected".into())
    );

    asterisk.clear_faults();
    eventually("it is hung up", LIMIT, async || {
        (app.hang_up(talking).await.status == StatusCode::NO_CONTENT).then_some(())
    })
    .await;
    assert_eq!(app.count("mege_circuit_state", &HANGUP).await, 0.0);
    placed_again(&app).await;
}

#[actix_rt::test]
async fn an_asterisk_that_fails_at_hangups_is_left_alone_with_them() {
    let simulator = patient().await;
    let asterisk = simulator.asterisk();
    let app = gateway(&simulator, &[]).await;
    let talking = talking(&app).await;
    asterisk.fail(
        AriOperation::Hangup,
        AriFault::ServerError,
        HowOften::UntilCleared,
    );
    for _ in 0..ENOUGH {
        let reply = app.hang_up(talking).await;
        assert_eq!(reply.json()["code"], "rejected", "{}", reply.body);
    }
    assert_eq!(app.count("mege_circuit_opened_total", &HANGUP).await, 1.0);
    assert_eq!(app.count("mege_circuit_state", &ORIGINATE).await, 0.0);
    asterisk.clear_faults();
    eventually("it is hung up", LIMIT, async || {
        (app.hang_up(talking).await.status == StatusCode::NO_CONTENT).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_pac_that_hangs_on_commands_is_read_as_ever() {
    let simulator = simulator().await;
    let app = gateway(&simulator, &[]).await;
    let pac = &app.integrations.pac["main"];
    let in_time = |time| Instant::now() + Duration::from_millis(time);
    simulator
        .pbx()
        .fail(PacOperation::MakeCall, PacFault::Hang, HowOften::UntilCleared);
    let breaker = |class| pac.load_of(class).expect("a class of it").breaker;
    eventually("commands are given up", LIMIT, async || {
        let call = MakeCall {
            from: Extension::parse("101", None).expect("an extension"),
            to: PhoneNumber::parse("79990000001").expect("a number"),
        };
        let reply = pac.ask(call, in_time(200)).await;
        // The latter where this machine did not come to it in time.
        assert!(
            matches!(
                reply,
                Err(AskError::Reply(PacError::NoAnswer) | AskError::DeadlineExceeded { .. })
            ),
            "{reply:?}"
        );
        (breaker(Class::Originate) == BreakerState::Open).then_some(())
    })
    .await;
    let asked = simulator.pbx().requests(PacOperation::MakeCall).received;
    assert!((ENOUGH..=2 * ENOUGH).contains(&asked), "{asked}");
    assert_eq!(breaker(Class::Read), BreakerState::Closed);
    let of = |class| [r#"actor="pac.main""#, class];
    assert_eq!(
        app.count("mege_circuit_state", &of(r#"class="originate""#)).await,
        2.0
    );
    assert_eq!(app.count("mege_circuit_state", &of(r#"class="read""#)).await, 0.0);
    for _ in 0..ENOUGH {
        let statement = Statement::new("one", "SELECT 1", &[]);
        let rows = pac.ask(ExecuteSql { statement }, in_time(10_000)).await;
        assert_eq!(rows, Ok(vec![vec!["1".to_owned()]]));
    }
}
