//! SIGTERM while clients go on asking: the order of things, and what became of each call.

use std::time::Duration;

use awc::Client;
use awc::error::SendRequestError;
use awc::http::StatusCode;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use serde_json::Value;

use super::clients::{Clients, Seen};
use super::{connected, stopped, variable};
use crate::support::app::{LIMIT, simulator};
use crate::support::calls::placed;
use crate::support::{eventually, metrics};

const CLIENTS: usize = 8;

/// How many calls are placed before the signal, and how many more have to be while it drains.
const BEFORE: usize = 50;
const MEANWHILE: usize = 10;

/// For how long it drains, and how long a slow call takes: longer than the rest of that, and than a connection that is begun
/// while the listener closes takes to be refused: its first packet is sent again after a second.
const DRAIN_MS: u64 = 4_000;
const SLOW: Duration = Duration::from_secs(8);
const SLOW_CALLS: usize = 4;

/// What `/readyz` says on a connection of its own: its status and reason, or nothing where none is accepted.
async fn readiness(origin: &str) -> Option<(StatusCode, Value)> {
    let client = Client::builder().timeout(LIMIT).finish();
    match client.get(format!("{origin}/readyz")).send().await {
        Ok(mut reply) => {
            let body: Value = reply.json().await.expect("JSON");
            Some((reply.status(), body["reason"].clone()))
        }
        Err(SendRequestError::Connect(_)) => None,
        Err(error) => panic!("no answer: {error}"),
    }
}

/// How long it says that it drains.
async fn drain_seconds(origin: &str) -> f64 {
    let client = Client::builder().timeout(LIMIT).finish();
    let reply = client.get(format!("{origin}/metrics")).send().await;
    let text = reply.expect("a reply").body().limit(1 << 20).await;
    let text = String::from_utf8(text.expect("metrics").to_vec()).expect("text");
    metrics::sum(&text, "mege_drain_seconds", &[]).expect("the metric")
}

/// Holds what clients saw against what reached Asterisk.
fn nothing_lost(simulator: &Simulator, seen: &[(u64, Seen)]) {
    let mut placed = placed(simulator);
    for (number, seen) in seen {
        let placed = placed.remove(&number.to_string()).unwrap_or_default();
        match seen {
            Seen::Answered { status, id, .. } => {
                assert_eq!(*status, StatusCode::OK, "{number}");
                assert_eq!(placed, id.as_slice(), "{number}: a success is one call");
            }
            Seen::NotTaken => assert!(placed.is_empty(), "{number}"),
            Seen::Lost(error) => panic!("{number} got no answer: {error}"),
        }
    }
    assert!(placed.is_empty(), "nobody asked for {placed:?}");
}

#[actix_rt::test]
async fn what_was_accepted_is_answered_and_a_success_is_one_call() {
    let simulator = simulator().await;
    let settings = [
        variable("MEGE__HTTP__DRAIN_MS", DRAIN_MS),
        variable("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", 30_000),
    ];
    let (mut program, origin) = connected(&simulator, &settings).await;
    let clients = Clients::start(&origin, CLIENTS);
    eventually("calls are placed", LIMIT, async || {
        (clients.placed() >= BEFORE).then_some(())
    })
    .await;
    assert_eq!(readiness(&origin).await.expect("an answer").0, StatusCode::OK);
    assert!(drain_seconds(&origin).await < f64::EPSILON);

    let watched = async {
        eventually("it is said not to be ready", LIMIT, async || {
            let (status, reason) = readiness(&origin).await.expect("a listener");
            let draining = (StatusCode::SERVICE_UNAVAILABLE, Value::from("draining"));
            ((status, reason) == draining).then_some(())
        })
        .await;
        let before = clients.placed();
        assert!(drain_seconds(&origin).await > 0.0);
        eventually("calls go on being placed", LIMIT, async || {
            (clients.placed() >= before + MEANWHILE).then_some(())
        })
        .await;
        let slow = AriFault::Delay(SLOW);
        simulator
            .asterisk()
            .fail(AriOperation::Originate, slow, HowOften::Next(SLOW_CALLS));
        eventually("nothing is accepted", LIMIT, async || {
            match readiness(&origin).await {
                Some((status, _)) => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                    None
                }
                None => Some(()),
            }
        })
        .await;
        clients.placed()
    };
    let (ended, placed) = tokio::join!(stopped(&mut program, "TERM"), watched);
    let seen = clients.ended().await;

    nothing_lost(&simulator, &seen);
    let answered = |seen: &&Seen| matches!(seen, Seen::Answered { .. });
    let all = seen.iter().map(|(_, seen)| seen).filter(answered).count();
    assert!(
        all >= placed + SLOW_CALLS,
        "{all} of {placed}: slow ones end after the listener"
    );
    let told = seen
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Answered { last: true, .. }));
    assert!(told.count() >= MEANWHILE, "connections are told");
    assert!(!ended.said.contains("cut off"), "{}", ended.said);
    assert!(ended.said.contains("\"stopped\""), "{}", ended.said);
    assert_eq!(simulator.asterisk().socket_ends(), [Some(1001)]);
}
