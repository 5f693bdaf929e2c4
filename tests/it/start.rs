//! The program starts whatever is down, says what is, and ends in order.

use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;

/// How long open requests get at a shutdown, and how long the actors get after that.
const SHUTDOWN: Duration = Duration::from_secs(3);
const ACTORS: Duration = Duration::from_secs(5);

async fn get(client: &Client, url: &str) -> (StatusCode, Value) {
    let mut reply = client.get(url).send().await.expect("a reply");
    let body = reply.json().limit(1024 * 1024).await.expect("JSON");
    (reply.status(), body)
}

fn shutdown() -> (&'static str, String) {
    ("MEGE__HTTP__SHUTDOWN_MS", SHUTDOWN.as_millis().to_string())
}

/// Ends it with SIGTERM: by itself, in time and in order.
async fn end(mut program: Program) {
    let begun = Instant::now();
    program.signal("TERM");
    let ended = program.ended().await;
    let slack = Duration::from_secs(2);
    assert!(
        begun.elapsed() < SHUTDOWN + ACTORS + slack,
        "it took {:?}",
        begun.elapsed()
    );
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

#[actix_rt::test]
async fn with_nothing_reachable_it_starts_and_says_what_is_down() {
    // A port that is surely closed: its simulator is gone.
    let mut variables = simulated(&simulator().await);
    variables.push(shutdown());
    let mut program = Program::serve(&variables);
    let origin = program.origin().await;
    let client = Client::builder().timeout(LIMIT).finish();

    assert_eq!(get(&client, &format!("{origin}/livez")).await.0, StatusCode::OK);
    eventually("ready", LIMIT, async || {
        let (status, _) = get(&client, &format!("{origin}/readyz")).await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    eventually("/status says what is down", LIMIT, async || {
        let (_, status) = get(&client, &format!("{origin}/status")).await;
        let usable = |actor: &str| status["actors"][actor]["usable"].as_bool();
        let down = ["asterisk.main", "pac.main"].map(usable) == [Some(false); 2];
        let up = ["cdr", "ledger"].map(usable) == [Some(true); 2];
        (status["status"] == "degraded" && down && up).then_some(())
    })
    .await;
    end(program).await;
}

#[actix_rt::test]
async fn without_any_integration_it_starts_and_ends() {
    let mut program = Program::serve(&[shutdown()]);
    let origin = program.origin().await;
    let client = Client::builder().timeout(LIMIT).finish();
    assert_eq!(get(&client, &format!("{origin}/livez")).await.0, StatusCode::OK);
    end(program).await;
}

/// Starts the program and places some calls, with a fault on their way through Asterisk. Returns once all are under
/// way.
async fn calls_under_way(
    simulator: &Simulator,
    fault: AriFault,
) -> (Program, Vec<JoinHandle<Option<StatusCode>>>) {
    const CALLS: u64 = 4;
    let mut variables = simulated(simulator);
    variables.push(shutdown());
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "30000".to_owned()));
    let mut program = Program::serve(&variables);
    let origin = program.origin().await;
    let client = Client::builder().timeout(LIMIT).finish();
    eventually("connected to Asterisk", LIMIT, async || {
        let (_, status) = get(&client, &format!("{origin}/status")).await;
        (status["actors"]["asterisk.main"]["usable"] == true).then_some(())
    })
    .await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, fault, HowOften::UntilCleared);
    let calls = (0..CALLS).map(|call| {
        let request = client.post(format!("{origin}/pbx-api/make-call"));
        let number = 79_990_000_000 + call;
        let body = serde_json::json!({ "source_caller_id": number, "caller_id": 102 });
        actix_rt::spawn(async move { request.send_json(&body).await.ok().map(|reply| reply.status()) })
    });
    let calls: Vec<_> = calls.collect();
    eventually("all are under way", LIMIT, async || {
        let requests = simulator.asterisk().requests();
        let received = requests
            .iter()
            .filter(|(name, _)| name.starts_with("POST /channels"));
        (received.map(|(_, count)| count).sum::<u64>() == CALLS).then_some(())
    })
    .await;
    assert!(calls.iter().all(|call| !call.is_finished()), "they are under way");
    (program, calls)
}

#[actix_rt::test]
async fn sigterm_lets_the_requests_under_way_end() {
    let simulator = simulator().await;
    let slow = AriFault::Delay(Duration::from_millis(1_500));
    let (program, calls) = calls_under_way(&simulator, slow).await;
    end(program).await;
    for call in calls {
        assert_eq!(call.await.expect("no panic"), Some(StatusCode::OK));
    }
}

#[actix_rt::test]
async fn sigterm_ends_it_in_time_though_requests_hang() {
    let simulator = simulator().await;
    let (program, calls) = calls_under_way(&simulator, AriFault::Hang).await;
    end(program).await;
    for call in calls {
        // Cut off, or told that nobody knows: anything but a success.
        assert_ne!(call.await.expect("no panic"), Some(StatusCode::OK));
    }
}
