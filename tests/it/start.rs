//! The program starts whatever is down, says what is, and ends.

use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;

/// How long open requests get at a shutdown.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// The promise: all of a stop.
const PROMISED: Duration = Duration::from_secs(30);

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
    assert!(begun.elapsed() < PROMISED, "it took {:?}", begun.elapsed());
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

#[actix_rt::test]
async fn a_stop_during_the_start_gives_it_up() {
    // Takes connections, and never answers: the start waits for the keys.
    let database = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = database.local_addr().expect("its address");
    let url = format!("postgres://mege@{address}/mege");
    let mut program = Program::serve(&[("DATABASE_URL", url)]);
    let reached = timeout(LIMIT, database.accept()).await.expect("soon");
    let _unanswered = reached.expect("a connection");
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    // As it would after it has waited for its keys.
    assert!(!ended.said.contains("listening"), "{}", ended.said);
}
