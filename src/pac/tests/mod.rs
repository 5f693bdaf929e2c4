//! The actor against a PAC that does as a script says, over a real socket.

mod commands;
mod connection;
mod reads;
mod retries;
mod server;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{ExecuteSql, MakeCall, PacError, PacHandle, Statement, spawn};
use crate::actor::{AskError, Placement, Reply};
use crate::settings::PacSettings;
use crate::telephony::{Extension, PhoneNumber};
use server::{Say, Server};

const SECOND: Duration = Duration::from_secs(1);

/// Longer than anything takes on a machine that is busy with other things too.
const LIMIT: Duration = Duration::from_secs(60);

fn settings(address: &str) -> PacSettings {
    serde_json::from_value(serde_json::json!({ "address": address })).unwrap()
}

fn start(address: &str) -> PacHandle {
    start_with(settings(address))
}

fn start_with(settings: PacSettings) -> PacHandle {
    spawn("test", settings, Placement::Current).unwrap()
}

async fn read(pac: &PacHandle, limit: Duration) -> Reply<ExecuteSql> {
    let statement = Statement::new("test", "SELECT 'values stay here'", &[]);
    let asked = ready(pac)
        .await
        .ask(ExecuteSql { statement }, Instant::now() + limit);
    timeout(LIMIT, asked).await.expect("an ask never hangs")
}

async fn call(pac: &PacHandle, limit: Duration) -> Reply<MakeCall> {
    let call = MakeCall {
        from: Extension::parse("101", None).unwrap(),
        to: PhoneNumber::parse("+79102223311").unwrap(),
    };
    let asked = ready(pac).await.ask(call, Instant::now() + limit);
    timeout(LIMIT, asked).await.expect("an ask never hangs")
}

async fn ready(pac: &PacHandle) -> &PacHandle {
    timeout(LIMIT, pac.health().reached(crate::actor::State::Running))
        .await
        .expect("the actor runs");
    pac
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// What becomes of a request that the server has, and does not answer: the time that is left for it passes at once.
async fn unanswered<T>(server: &Server, request: impl Future<Output = T>) -> T {
    let before = server.requests();
    let pass = async {
        until("it is with PAC", async || server.requests() > before).await;
        tokio::time::pause();
    };
    let (reply, ()) = tokio::join!(request, pass);
    tokio::time::resume();
    reply
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}
