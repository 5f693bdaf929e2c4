//! A PAC that goes away for a moment costs a read nothing, one that is away gets few reads more, and no command twice.

use std::time::Duration;

use mege_gateway::actor::AskError;
use mege_gateway::pac::{ExecuteSql, MakeCall, PacError, PacHandle, Statement};
use mege_gateway::simulator::{HowOften, PacFault, PacOperation};
use mege_gateway::telephony::{Extension, PhoneNumber};
use tokio::time::{Instant, sleep};

use super::gateway;
use crate::support::app::{LIMIT, TestApp, simulator};
use crate::support::eventually;

const PAC: &str = r#"pac="main""#;

async fn read(pac: &PacHandle) -> Result<(), AskError<PacError>> {
    let statement = Statement::new("one", "SELECT 1", &[]);
    let rows = pac.ask(ExecuteSql { statement }, Instant::now() + LIMIT).await;
    rows.map(drop)
}

/// All reads that came to an end, probes not counted.
async fn reads(app: &TestApp) -> f64 {
    let labels = [PAC, r#"operation="execute_sql""#];
    app.count("mege_pac_requests_total", &labels).await
}

#[actix_rt::test]
async fn a_pac_that_says_goaway_is_asked_on_another_connection() {
    let simulator = simulator().await;
    let app = gateway(&simulator, &[]).await;
    let pac = &app.integrations.pac["main"];
    for _ in 0..20 {
        for _ in 0..5 {
            read(pac).await.expect("a read");
        }
        simulator.pbx().go_away().expect("another listener");
    }
    read(pac).await.expect("a read");
    let unavailable = [PAC, r#"outcome="unavailable""#];
    assert_eq!(app.count("mege_pac_requests_total", &unavailable).await, 0.0);
}

#[actix_rt::test]
async fn a_moment_without_pac_is_bridged_within_a_fifth_of_the_reads() {
    let simulator = simulator().await;
    let app = gateway(&simulator, &[]).await;
    let pac = &app.integrations.pac["main"];
    for _ in 0..50 {
        read(pac).await.expect("a read");
    }
    let fail = |often| {
        let pbx = simulator.pbx();
        pbx.fail(PacOperation::ExecuteSql, PacFault::Unavailable, often);
    };
    // The collector may meet it first: then it is the one that is helped.
    fail(HowOften::Next(1));
    read(pac).await.expect("a read");
    eventually("it was met", LIMIT, async || {
        (app.count("mege_retries_total", &[PAC]).await == 1.0).then_some(())
    })
    .await;

    fail(HowOften::UntilCleared);
    let of_pac = [r#"actor="pac.main""#, r#"class="read""#];
    // Its breaker opens and closes meanwhile.
    eventually("it is left alone twice", LIMIT, async || {
        for _ in 0..50 {
            read(pac).await.expect_err("no read");
            sleep(Duration::from_millis(2)).await;
        }
        (app.count("mege_circuit_opened_total", &of_pac).await >= 2.0).then_some(())
    })
    .await;
    let (retries, all) = (app.count("mege_retries_total", &[PAC]).await, reads(&app).await);
    assert!(retries > 1.0 && retries <= all / 5.0, "{retries} of {all}");

    simulator.pbx().clear_faults();
    eventually("PAC is read again", LIMIT, async || read(pac).await.ok()).await;
}

#[actix_rt::test]
async fn no_command_is_given_twice() {
    let simulator = simulator().await;
    let app = gateway(&simulator, &[]).await;
    let pac = &app.integrations.pac["main"];
    for _ in 0..50 {
        read(pac).await.expect("a read");
    }
    for (given, fault) in (1..).zip([PacFault::Unavailable, PacFault::DropConnection]) {
        simulator
            .pbx()
            .fail(PacOperation::MakeCall, fault, HowOften::UntilCleared);
        let call = MakeCall {
            from: Extension::parse("101", None).expect("an extension"),
            to: PhoneNumber::parse("79990000001").expect("a number"),
        };
        let reply = pac.ask(call, Instant::now() + LIMIT).await;
        assert!(
            matches!(reply, Err(AskError::Reply(PacError::OutcomeUnknown(_)))),
            "{reply:?}"
        );
        assert_eq!(simulator.pbx().requests(PacOperation::MakeCall).received, given);
    }
    let unknown = [PAC, r#"operation="make_call""#, r#"outcome="unknown""#];
    assert_eq!(app.count("mege_pac_requests_total", &unknown).await, 2.0);
}
