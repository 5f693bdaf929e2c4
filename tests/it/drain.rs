//! A stop, asked for by a signal: whoever sends requests is told, what was taken is answered, and the end comes in time.

mod clients;
mod sockets;
mod under_load;

use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::eventually;
use crate::support::program::{Ended, Program};
use crate::support::served::Served;

/// The promise: all of a stop.
const PROMISED: Duration = Duration::from_secs(30);

/// A gateway that is connected to the simulator, and where it is.
async fn connected(simulator: &Simulator, more: &[(&'static str, String)]) -> (Program, String) {
    let mut variables = simulated(simulator);
    variables.extend_from_slice(more);
    let Served { program, origin, .. } = Served::start(Program::serve(&variables)).await;
    (program, origin)
}

/// How many originates reached Asterisk.
fn asked(simulator: &Simulator) -> u64 {
    let requests = simulator.asterisk().requests();
    let originates = requests
        .iter()
        .filter(|(name, _)| name.starts_with("POST /channels"));
    originates.map(|(_, count)| count).sum()
}

type Call = JoinHandle<Option<(StatusCode, Value)>>;

/// Places some calls, with a fault on their way through Asterisk. Returns once all are under way.
async fn calls_under_way(simulator: &Simulator, origin: &str, fault: AriFault) -> Vec<Call> {
    const CALLS: u64 = 4;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, fault, HowOften::UntilCleared);
    let before = asked(simulator);
    let client = Client::builder().timeout(LIMIT).finish();
    let calls = (0..CALLS).map(|call| {
        let request = client.post(format!("{origin}/pbx-api/make-call"));
        let body = json!({ "source_caller_id": 79_990_000_000 + call, "caller_id": 102 });
        actix_rt::spawn(async move {
            let mut reply = request.send_json(&body).await.ok()?;
            Some((reply.status(), reply.json().await.ok()?))
        })
    });
    let calls: Vec<_> = calls.collect();
    eventually("all are under way", LIMIT, async || {
        (asked(simulator) == before + CALLS).then_some(())
    })
    .await;
    assert!(calls.iter().all(|call| !call.is_finished()), "they are under way");
    calls
}

fn variable(name: &'static str, value: u64) -> (&'static str, String) {
    (name, value.to_string())
}

async fn answers(calls: Vec<Call>) -> Vec<Option<(StatusCode, Value)>> {
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("no panic"));
    }
    answers
}

/// Sends a signal and waits for the end, which is an orderly one.
async fn stopped(program: &mut Program, signal: &str) -> Ended {
    let begun = Instant::now();
    program.signal(signal);
    let ended = program.ended().await;
    assert!(begun.elapsed() < PROMISED, "it took {:?}", begun.elapsed());
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    ended
}

#[actix_rt::test]
async fn requests_under_way_end_whichever_signal_it_is() {
    for signal in ["TERM", "INT"] {
        let simulator = simulator().await;
        let (mut program, origin) = connected(&simulator, &[]).await;
        let slow = AriFault::Delay(Duration::from_millis(1_500));
        let calls = calls_under_way(&simulator, &origin, slow).await;
        let ended = stopped(&mut program, signal).await;
        for answer in answers(calls).await {
            assert_eq!(answer.expect("an answer").0, StatusCode::OK, "{signal}");
        }
        assert!(!ended.said.contains("cut off"), "{}", ended.said);
    }
}

#[actix_rt::test]
async fn a_call_whose_asterisk_hangs_is_answered_that_nobody_knows() {
    let simulator = simulator().await;
    let shorter = variable("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", 2_000);
    let (mut program, origin) = connected(&simulator, &[shorter]).await;
    let calls = calls_under_way(&simulator, &origin, AriFault::Hang).await;
    stopped(&mut program, "TERM").await;
    for answer in answers(calls).await {
        let (status, body) = answer.expect("an answer");
        let error = &body["error"];
        assert_eq!(
            (status.as_u16(), &error["code"], &error["outcome"]),
            (502, &json!("originate_outcome_unknown"), &json!("unknown"))
        );
    }
}

#[actix_rt::test]
async fn an_asterisk_that_hangs_for_longer_does_not_put_the_end_off() {
    const SHUTDOWN: Duration = Duration::from_secs(3);
    let simulator = simulator().await;
    let settings = [
        variable("MEGE__HTTP__SHUTDOWN_MS", 3_000),
        variable("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", 60_000),
    ];
    let (mut program, origin) = connected(&simulator, &settings).await;
    let calls = calls_under_way(&simulator, &origin, AriFault::Hang).await;
    let begun = Instant::now();
    let ended = stopped(&mut program, "TERM").await;
    assert!(begun.elapsed() >= SHUTDOWN, "open requests get their time");
    assert!(ended.said.contains("open requests are cut off"), "{}", ended.said);
    for answer in answers(calls).await {
        assert!(answer.is_none(), "cut off: {answer:?}");
    }
}

#[actix_rt::test]
async fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [("TERM", "TERM", 143), ("INT", "INT", 130), ("TERM", "INT", 130)] {
        let simulator = simulator().await;
        let patient = variable("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", 60_000);
        let (mut program, origin) = connected(&simulator, &[patient]).await;
        let calls = calls_under_way(&simulator, &origin, AriFault::Hang).await;
        program.signal(first);
        program.says("accepting no more").await;
        // A moment after the first, a second still counts as the same.
        let ended = loop {
            program.signal(second);
            if let Ok(ended) = timeout(Duration::from_millis(50), program.ended()).await {
                break ended;
            }
        };
        assert_eq!(ended.code, Some(code), "{first}, {second}");
        assert!(
            !ended.said.contains("cut off"),
            "before that time: {}",
            ended.said
        );
        drop(calls);
    }
}
