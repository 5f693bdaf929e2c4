//! `/v1/calls`: what became of calls, by whichever gateway placed them.

use awc::http::{Method, StatusCode};
use mege_gateway::call::{CallId, CallState};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use serde_json::{Value, json};

use crate::access::make;
use crate::ari::patient;
use crate::support::app::{LIMIT, Reply, TestApp, simulated, simulated_as, simulator};
use crate::support::calls::{assert_refused, call_id, parse_id, talking, until};
use crate::support::eventually;

async fn look_up(app: &TestApp, id: CallId) -> Reply {
    app.get(&format!("/v1/calls/{id}")).await
}

/// The call once it is over, as callers see it.
async fn ended(app: &TestApp, id: CallId) -> Value {
    eventually("its end", LIMIT, async || {
        let reply = look_up(app, id).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        let call = reply.json();
        (call["state"] == "ended").then_some(call)
    })
    .await
}

#[actix_rt::test]
async fn what_became_of_a_call_is_told_in_words() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "1".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    for (extension, number, disposition, cause, words) in [
        (102, 79_990_000_001, "answered", 16, "Normal Clearing"),
        (102, 79_990_000_007, "busy", 17, "User busy"),
        (107, 79_990_000_001, "busy", 17, "User busy"),
        (102, 79_990_000_009, "rejected", 21, "Call Rejected"),
        (108, 79_990_000_001, "no_answer", 19, "User alerting, no answer"),
    ] {
        let id = call_id(&app.make_call(extension, number).await);
        let call = ended(&app, id).await;
        assert_eq!(call["disposition"], disposition, "{call}");
        assert_eq!(
            (&call["cause"], &call["cause_text"]),
            (&json!(cause), &json!(words)),
            "{call}"
        );
        assert_eq!(
            (&call["pbx"], &call["integration"]),
            (&json!("main"), &json!("asterisk.main"))
        );
        assert_eq!(call["external"]["raw"], number.to_string());
        assert_eq!(call["extension"], extension.to_string());
        assert_eq!(call["requested_by"]["key"], Value::Null);
        assert!(call["ended_at"].is_string() && !call["legs"].as_array().expect("legs").is_empty());
    }
    app.stop().await;
}

#[actix_rt::test]
async fn calls_are_listed_newest_first_and_only_those_that_a_key_may_see() {
    let (head, branch) = (patient().await, patient().await);
    let (second, mut variables) = (simulated_as("BRANCH", &branch), simulated(&head));
    variables.extend(second.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let mut ids = Vec::new();
    for extension in [102, 103, 102] {
        let id = call_id(&app.make_call(extension, 79_990_000_001).await);
        until(&app, id, CallState::Bridged).await;
        ids.insert(0, id);
    }
    assert_eq!(app.hang_up(ids[0]).await.status, StatusCode::NO_CONTENT);
    ended(&app, ids[0]).await;
    let list = async |query: &str| {
        let reply = app.get(&format!("/v1/calls{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}: {}", reply.body);
        reply.json()
    };
    let found = |list: &Value| -> Vec<CallId> {
        let items = list["items"].as_array().expect("items");
        items
            .iter()
            .map(|call| parse_id(call["id"].as_str().expect("an id")))
            .collect()
    };
    for (query, expected) in [
        ("", &ids[..]),
        ("?state=live", &ids[1..]),
        ("?state=ended", &ids[..1]),
        ("?extension=103", &ids[1..2]),
        ("?number=%2B7%20(999)%20000-00-01", &ids[..]),
        ("?number=79990000002", &[]),
        ("?external_id=lead-17", &[]),
        (
            "?from=2020-01-01T00:00:00%2B03:00&until=2020-01-02T00:00:00Z",
            &[],
        ),
    ] {
        let list = list(query).await;
        assert_eq!(found(&list), expected, "{query}");
        assert_eq!(
            (&list["has_more"], &list["next_cursor"]),
            (&json!(false), &Value::Null)
        );
    }
    let first = list("?limit=2").await;
    assert_eq!(
        (found(&first), &first["has_more"]),
        (ids[..2].to_vec(), &json!(true))
    );
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    assert_eq!(found(&list(&format!("?limit=2&cursor={cursor}")).await), ids[2..]);

    for (path, words) in [
        ("/v1/calls?limit=0", "limit must be 1 to 1000"),
        ("/v1/calls?limit=1e3", "limit must be 1 to 1000"),
        ("/v1/audit?limit=1001", "limit must be 1 to 1000"),
        ("/v1/audit?before=1", "before must be next of a reply"),
        ("/v1/calls?limit=1001", "limit must be 1 to 1000"),
        ("/v1/calls?state=over", "state must be live, sent"),
        ("/v1/calls?extension=abc", "extension must be"),
        ("/v1/calls?number=100%26PJSIP/200", "number must be"),
        (
            "/v1/calls?nummer=1",
            "unknown field `nummer`, expected one of `state`",
        ),
        ("/v1/calls?external_id=lead%00", "external_id must be"),
        ("/v1/calls?external_id=", "external_id must be"),
        ("/v1/calls?cursor=x", "cursor must be"),
        ("/v1/calls?from=yesterday", "from must be"),
        ("/v1/calls?until=2026-11-22T10:00:00", "until must be"),
    ] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {}", reply.body);
        let detail = reply.json()["detail"].as_str().expect("words").to_owned();
        assert!(detail.contains(words), "{path}: {detail}");
    }

    // To a key of another PBX they are not there; one that may place calls may look them up, too.
    let path = format!("/v1/calls/{}", ids[1]);
    for (name, scope, pbx, expected) in [
        ("reader", "calls:read", "main", (200, 3)),
        ("writer", "calls:write", "main", (200, 3)),
        ("foreign", "calls:read", "branch", (404, 0)),
    ] {
        let key = make(&app, name, &[scope], Some(&[pbx])).await;
        let key = [("x-api-key", key.secret.expose())];
        let one = app.send(Method::GET, &path, &key, "").await;
        let all = app.send(Method::GET, "/v1/calls", &key, "").await.json();
        assert_eq!((one.status.as_u16(), found(&all).len()), expected, "{name}");
    }
    app.stop().await;
}

/// A call that was placed through another gateway with a ledger of its own: here there is no record of it.
#[actix_rt::test]
async fn a_call_without_a_record_is_found_on_its_asterisk_and_hung_up() {
    let simulator = patient().await;
    let placed = TestApp::start(&simulated(&simulator)).await;
    placed.connected().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__APP_PREFIX", "other".to_owned()));
    variables.push(("MEGE__HTTP__TIMEOUT_MS", "2000".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let id = talking(&placed).await;
    let reply = look_up(&app, id).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let call = reply.json();
    assert_eq!((&call["id"], &call["pbx"]), (&json!(id), &json!("main")));
    assert_eq!(
        (&call["external"], &call["requested_by"]),
        (&Value::Null, &Value::Null)
    );

    // While Asterisk does not answer, nobody says that there is no such call.
    let unknown = CallId::mint();
    simulator
        .asterisk()
        .fail(AriOperation::Other, AriFault::Hang, HowOften::UntilCleared);
    assert_eq!(look_up(&app, unknown).await.status, StatusCode::GATEWAY_TIMEOUT);
    simulator.asterisk().clear_faults();
    assert_eq!(look_up(&app, unknown).await.status, StatusCode::NOT_FOUND);

    assert_eq!(app.hang_up(id).await.status, StatusCode::NO_CONTENT);
    until(&placed, id, CallState::Ended).await;
    assert_eq!(look_up(&app, id).await.status, StatusCode::NOT_FOUND);
    let told = ended(&placed, id).await;
    assert_eq!(told["disposition"], "answered", "{told}");
    app.stop().await;
    placed.stop().await;
}

#[actix_rt::test]
async fn a_call_whose_answer_was_lost_is_named_looked_up_and_hung_up() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "500".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
    let reply = app.make_call(102, 79_990_000_001).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    let error = reply.json()["error"].take();
    let id = parse_id(error["uniqueid"].as_str().expect("an id"));
    assert_eq!(error["call_id"], json!(id));
    until(&app, id, CallState::Bridged).await;
    assert_eq!(look_up(&app, id).await.json()["state"], "bridged");
    assert_eq!(app.hang_up(id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ended(&app, id).await["disposition"], "answered");
    assert_eq!(
        simulator.asterisk().originates().len(),
        1,
        "nothing was dialled again"
    );
    app.stop().await;
}
