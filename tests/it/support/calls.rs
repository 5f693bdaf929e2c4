//! What became of calls, as callers and the ledger see it.

use std::collections::BTreeMap;

use awc::http::StatusCode;
use mege_gateway::ari::Originate;
use mege_gateway::call::{Call, CallId, CallState, RequestedBy};
use mege_gateway::ledger::GetCall;
use mege_gateway::simulator::Simulator;
use mege_gateway::telephony::{Extension, PhoneNumber};
use serde_json::Value;
use tokio::time::Instant;

use super::app::{LIMIT, Reply, TestApp};
use super::eventually;

/// The id of a call that was placed.
pub(crate) fn call_id(reply: &Reply) -> CallId {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let body = reply.json();
    assert_eq!(body["originateCallStatus"], "successful");
    parse_id(body["uniqueid"].as_str().expect("an id"))
}

pub(crate) fn parse_id(text: &str) -> CallId {
    CallId(text.parse().expect("a call's id"))
}

/// The request to place a call, for an actor's handle.
pub(crate) fn originate(call_id: CallId, extension: u64, number: u64) -> Originate {
    let extension = Extension::parse(&extension.to_string(), None).expect("an extension");
    Originate {
        call_id,
        requested_by: RequestedBy {
            key: None,
            extension: Some(extension.to_string()),
        },
        extension,
        number: PhoneNumber::parse(&number.to_string()).expect("a number"),
    }
}

/// Places a call that is answered, and waits until it is talked on.
pub(crate) async fn talking(app: &TestApp) -> CallId {
    let id = call_id(&app.make_call(102, 79_990_000_001).await);
    until(app, id, CallState::Bridged).await;
    id
}

/// The error's part of a reply in the original's shape.
pub(crate) fn assert_refused(reply: &Reply, status: u16, code: &str, outcome: &str, retryable: bool) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{}", reply.body);
    assert_eq!(error["outcome"], outcome, "{}", reply.body);
    assert_eq!(error["retryable"], retryable, "{}", reply.body);
    assert_eq!(reply.retry_after.is_some(), status == 503, "Retry-After");
}

/// A call as the ledger has it.
pub(crate) async fn call(app: &TestApp, id: CallId) -> Call {
    let ledger = &app.integrations.stores.ledger;
    let call = ledger.ask(GetCall(id), Instant::now() + LIMIT).await;
    call.expect("a ledger").expect("a call")
}

pub(crate) async fn until(app: &TestApp, id: CallId, state: CallState) -> Call {
    eventually(&format!("{state:?}"), LIMIT, async || {
        Some(call(app, id).await).filter(|call| call.state == state)
    })
    .await
}

/// What the actor of the Asterisk named `main` says of itself.
pub(crate) fn detail(app: &TestApp) -> Value {
    app.integrations.asterisk["main"].health().report().detail
}

/// What reached a simulated Asterisk: the ids of the channels to each number.
pub(crate) fn placed(simulator: &Simulator) -> BTreeMap<String, Vec<String>> {
    let mut placed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in simulator.asterisk().originates() {
        let number = call.extension.expect("a number");
        let ids = placed.entry(number).or_default();
        ids.push(call.channel_id.expect("an id"));
    }
    placed
}
