//! What operators see of the integrations and do to them, on the routes and by the command.

mod command;
mod life;
mod pause;
mod stores;
mod visible;

use std::cell::Cell;

use actix::{Actor, Context};
use awc::http::Method;
use mege_gateway::actor::{ActorHandle, InjectedFault, State};
use serde_json::Value;

use crate::support::app::{LIMIT, Reply, TestApp};
use crate::support::eventually;

const ALL: &str = "/v1/integrations";

async fn get(app: &TestApp, path: &str) -> Reply {
    app.send(Method::GET, path, &[], "").await
}

/// Has something done to an integration, as anybody on this machine.
async fn order(app: &TestApp, name: &str, verb: &str) -> Reply {
    app.send(Method::POST, &format!("{ALL}/{name}/{verb}"), &[], "")
        .await
}

/// What the gateway says of an integration.
async fn shown(app: &TestApp, name: &str) -> Value {
    let reply = get(app, &format!("{ALL}/{name}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// Waits until the gateway says so of an integration.
async fn until(app: &TestApp, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("{name}: {what}"), LIMIT, async || {
        let shown = shown(app, name).await;
        condition(&shown).then_some(shown)
    })
    .await
}

/// Has an actor panic until it is left down.
async fn fail_for_good<A: Actor<Context = Context<A>>>(handle: &ActorHandle<A>) {
    let injected = Cell::new(None);
    eventually("its budget is used up", LIMIT, async || {
        let report = handle.health().report();
        // Once an instance: it may run on while its panic is logged, and a second fault would be left for the next.
        if report.state == State::Running && injected.replace(Some(report.restarts)) != Some(report.restarts)
        {
            handle.inject(InjectedFault::Panic);
        }
        (report.state == State::Failed).then_some(())
    })
    .await;
}

/// The audit's entries of an action, newest first, once there are so many of them.
async fn audited(app: &TestApp, action: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} of {action} in the audit"), LIMIT, async || {
        let entries = get(app, "/v1/audit?limit=1000").await.json()["entries"].take();
        let entries = entries.as_array()?.iter();
        let found: Vec<Value> = entries
            .filter(|entry| entry["action"] == action)
            .cloned()
            .collect();
        (found.len() >= count).then_some(found)
    })
    .await
}
