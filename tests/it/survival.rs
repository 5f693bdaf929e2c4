//! Every actor is made to panic under load: the others notice nothing, and one rebuild, with one try to connect, has it answer
//! again. The wait before a first rebuild is the actor's own (`src/actor/policy.rs`); how long all of it takes is measured by
//! `each_answers_again_within_a_second`.

mod ledger_down;
mod load;

use std::cell::Cell;
use std::time::Duration;

use awc::http::StatusCode;
use jiff::Timestamp;
use mege_gateway::actor::InjectedFault;
use mege_gateway::ledger::GetInstance;
use mege_gateway::simulator::Simulator;
use serde_json::Value;
use tokio::time::Instant;

use self::load::{Kind, Load, ask_pac};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::calls::placed;
use crate::support::eventually;

/// The promise: how soon an actor answers again.
const PROMISED: Duration = Duration::from_secs(1);

/// How many requests of each kind go well before a fault, and again after it.
const AROUND: usize = 20;

/// A number that the load never calls.
const PROBE: u64 = 78_000_000_000;

async fn gateway() -> (Simulator, std::rc::Rc<TestApp>) {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.ready().await;
    app.connected().await;
    // The first poll goes back over a month.
    eventually("the collector's first poll", LIMIT, async || {
        last_poll(&app.status_of("collector.main").await)
    })
    .await;
    (simulator, app.into())
}

/// Injects a fault into one actor under load and waits until `again` is true; checks what everybody else saw. How long it was away.
async fn survive(
    actor: &str,
    hurt: &[Kind],
    inject: impl Fn(&TestApp),
    again: impl AsyncFn(&TestApp) -> bool,
) -> Duration {
    let (simulator, app) = gateway().await;
    let load = Load::start(&app);
    load.goes_well(AROUND).await;

    let begun = Instant::now();
    inject(&app);
    eventually("it panicked", LIMIT, async || {
        (app.status_of(actor).await["panics"] == 1).then_some(())
    })
    .await;
    eventually("it answers again", LIMIT, async || {
        again(&app).await.then_some(())
    })
    .await;
    let away = begun.elapsed();
    load.goes_well(AROUND).await;
    let seen = load.stop().await;

    eprintln!("{actor} was away for {away:?}");
    let status = app.status_of(actor).await;
    assert_eq!(
        (&status["restarts"], &status["state"]),
        (&1.into(), &"running".into()),
        "{status}"
    );
    let actor_label = format!(r#"actor="{actor}""#);
    for (metric, labels) in [
        ("mege_actor_panics_total", &[actor_label.as_str()][..]),
        (
            "mege_actor_restarts_total",
            &[actor_label.as_str(), r#"reason="panic""#],
        ),
    ] {
        assert_eq!(app.count(metric, labels).await, 1.0, "{metric}");
    }
    for kind in Kind::ALL {
        let ill: Vec<_> = seen
            .iter()
            .filter(|seen| seen.kind == kind && seen.outcome.is_err())
            .collect();
        assert!(
            hurt.contains(&kind) || ill.is_empty(),
            "{kind:?} without {actor}: {ill:?}"
        );
    }
    let attempts = app
        .count("mege_ari_connect_attempts_total", &[actor_label.as_str()])
        .await;
    assert_eq!(attempts, if actor == "asterisk.main" { 2.0 } else { 0.0 });
    assert_nothing_twice(&simulator, &seen);
    away
}

/// Holds each answer to a make-call against what reached Asterisk; every call has a number of its own.
fn assert_nothing_twice(simulator: &Simulator, seen: &[load::Seen]) {
    let mut placed = placed(simulator);
    placed.remove(&PROBE.to_string());
    for call in seen.iter().filter(|seen| seen.kind == Kind::MakeCall) {
        let placed = placed.remove(&call.number).unwrap_or_default();
        match &call.outcome {
            Ok(id) => assert_eq!(placed, std::slice::from_ref(id), "a success is one call"),
            Err(error) if error.outcome == "not_placed" => {
                assert!(placed.is_empty(), "{error:?}, and it was placed");
            }
            Err(error) => {
                assert_eq!(error.outcome, "unknown", "{error:?}");
                assert!(!error.retryable && placed.len() <= 1, "{error:?}: {placed:?}");
            }
        }
    }
    assert!(placed.is_empty(), "nobody asked for {placed:?}");
}

async fn asterisk() -> Duration {
    let inject = |app: &TestApp| app.integrations.asterisk["main"].inject(InjectedFault::Panic);
    survive("asterisk.main", &[Kind::MakeCall], inject, async |app| {
        app.make_call(102, PROBE).await.status == StatusCode::OK
    })
    .await
}

async fn pac() -> Duration {
    let inject = |app: &TestApp| app.integrations.pac["main"].inject(InjectedFault::Panic);
    survive("pac.main", &[Kind::Pac], inject, async |app| {
        ask_pac(app).await.is_ok()
    })
    .await
}

async fn cdr_store() -> Duration {
    let inject = |app: &TestApp| app.integrations.stores.cdr.inject(InjectedFault::Panic);
    survive("cdr", &[Kind::LastCallId, Kind::Cdr], inject, async |app| {
        app.get("/pbx-api/last-call-id").await.status == StatusCode::OK
            && app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await.status == StatusCode::OK
    })
    .await
}

async fn ledger() -> Duration {
    let inject = |app: &TestApp| app.integrations.stores.ledger.inject(InjectedFault::Panic);
    survive("ledger", &[], inject, async |app| {
        let ledger = &app.integrations.stores.ledger;
        ledger.ask(GetInstance, Instant::now() + LIMIT).await.is_ok()
    })
    .await
}

async fn collector() -> Duration {
    let injected = Cell::new(Timestamp::MAX);
    let inject = |app: &TestApp| {
        injected.set(Timestamp::now());
        app.integrations.collectors["main"].inject(InjectedFault::Panic);
    };
    survive("collector.main", &[], inject, async |app| {
        // It is asked nothing; its work is to poll, and it has when a poll that began after the fault ended well.
        let status = app.status_of("collector.main").await;
        status["restarts"] == 1 && last_poll(&status).is_some_and(|at| at > injected.get())
    })
    .await
}

#[actix_rt::test]
async fn the_actor_of_an_asterisk_survives_and_no_call_is_placed_twice() {
    asterisk().await;
}

#[actix_rt::test]
async fn the_actor_of_a_pac_survives() {
    pac().await;
}

#[actix_rt::test]
async fn the_actor_of_the_cdr_store_survives() {
    cdr_store().await;
}

#[actix_rt::test]
async fn the_ledgers_actor_survives_and_calls_do_not_need_it() {
    ledger().await;
}

#[actix_rt::test]
async fn a_collector_survives() {
    collector().await;
}

/// The promise in full, on a machine with nothing else to do:
/// `cargo nextest run --run-ignored only --no-capture each_answers_again`.
#[actix_rt::test]
#[ignore = "takes the machine for itself"]
async fn each_answers_again_within_a_second() {
    let away = [
        asterisk().await,
        pac().await,
        cdr_store().await,
        ledger().await,
        collector().await,
    ];
    assert!(away.iter().all(|away| *away < PROMISED), "{away:?}");
}

/// When a collector's latest poll that went well ended.
fn last_poll(status: &Value) -> Option<Timestamp> {
    status["detail"]["last_success"].as_str()?.parse().ok()
}
