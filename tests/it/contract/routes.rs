//! `make-call`, errors, paths and origins.

use awc::http::{Method, StatusCode};
use mege_gateway::call::{CallId, CallState};
use mege_gateway::ledger::GetCall;
use mege_gateway::simulator::Simulator;
use mege_gateway::telephony::HangupCause;
use tokio::time::Instant;

use super::{Store, on_both_stores, variables};
use crate::support::app::{LIMIT, Reply, TestApp, simulator};
use crate::support::eventually;

on_both_stores! {
    make_call_sends_the_originals_originate_and_answers_with_the_call
    a_busy_extension_is_a_success_and_seen_on_the_call
    every_error_has_the_originals_words_and_shape
    fields_that_nobody_knows_are_ignored
    origins_that_are_listed_may_call_and_others_may_not
    an_asterisk_that_is_down_at_the_start_is_said_and_found_later
}

async fn gateway(store: &Store, more: &[(&'static str, &str)]) -> (Simulator, TestApp) {
    let simulator = simulator().await;
    let app = TestApp::start(&variables(store, &simulator, more)).await;
    app.ready().await;
    (simulator, app)
}

/// The call of an answer, whose body must be to the letter.
fn call_of(reply: &Reply) -> CallId {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let id = reply.json()["uniqueid"].as_str().and_then(|id| id.parse().ok());
    let id = CallId(id.expect("an id"));
    let expected = format!(r#"{{"uniqueid":"{id}","originateCallStatus":"successful"}}"#);
    assert_eq!(reply.body, expected);
    id
}

async fn make_call_sends_the_originals_originate_and_answers_with_the_call(store: &Store) {
    let more = [
        ("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "45"),
        ("API_PREFIX", "api"),
        ("PBX_EXTENSION_LENGTH", "3"),
    ];
    let (simulator, app) = gateway(store, &more).await;
    app.connected().await;
    assert!(app.root.ends_with("/api"));
    let id = call_of(&app.make_call(102, 79_102_223_311).await);
    let originates = simulator.asterisk().originates();
    let [originate] = originates.as_slice() else {
        panic!("not one originate: {originates:?}");
    };
    assert_eq!(originate.channel_id, Some(id.to_string()));
    assert_eq!(originate.endpoint, "PJSIP/102@3cx");
    assert_eq!(originate.extension.as_deref(), Some("79102223311"));
    assert_eq!(originate.context.as_deref(), Some("outgoing"));
    assert_eq!(originate.caller_id.as_deref(), Some("79102223311"));
    assert_eq!(originate.timeout.as_deref(), Some("45"));
    assert_eq!(originate.app, None, "an application would win over the extension");
}

async fn a_busy_extension_is_a_success_and_seen_on_the_call(store: &Store) {
    let (_simulator, app) = gateway(store, &[]).await;
    app.connected().await;
    let id = call_of(&app.make_call(107, 79_102_223_311).await);
    let ledger = &app.integrations.stores.ledger;
    let call = eventually("the call ended", LIMIT, async || {
        let call = ledger.ask(GetCall(id), Instant::now() + LIMIT).await;
        let call = call.expect("a ledger").expect("a call");
        (call.state == CallState::Ended).then_some(call)
    })
    .await;
    assert_eq!(call.cause, Some(HangupCause::BUSY));
}

/// An error as the original writes it, up to its timestamp.
fn error(status: u16, words: &str, message: &str, path: &str) -> String {
    format!(
        r#"{{"status":{status},"error":{{"message":{message},"error":"{words}","statusCode":{status}}},"path":"{path}","timestamp":""#
    )
}

/// Checks a body to the letter, and the form of its timestamp.
fn assert_error(reply: &Reply, status: u16, words: &str, message: &str, path: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    let expected = error(status, words, message, path);
    let Some(rest) = reply.body.strip_prefix(&expected) else {
        panic!("expected: {expected}…\nanswered: {}", reply.body);
    };
    let timestamp = rest.strip_suffix("\"}").expect("the end of the body");
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let form: String = timestamp.chars().map(digits).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z");
}

/// The complaint about a make-call without fields.
const BOTH_MISSING: &str = concat!(
    r#"["source_caller_id should not be empty","#,
    r#""source_caller_id must be a number conforming to the specified constraints","#,
    r#""caller_id should not be empty","caller_id must be a number conforming to the specified constraints"]"#,
);

async fn every_error_has_the_originals_words_and_shape(store: &Store) {
    let cdr = [
        (
            "{}",
            r#"["call_id must be a string","call_id should not be empty"]"#,
        ),
        (
            r#"{"call_id":null}"#,
            r#"["call_id must be a string","call_id should not be empty"]"#,
        ),
        (r#"{"call_id":""}"#, r#"["call_id should not be empty"]"#),
        (r#"{"call_id":5}"#, r#"["call_id must be a string"]"#),
        (r#"{"call_id":["x"]}"#, r#"["call_id must be a string"]"#),
        ("{call_id}", r#""key must be a string at line 1 column 2""#),
        (
            "",
            r#"["call_id must be a string","call_id should not be empty"]"#,
        ),
    ];
    let make_call = [
        ("{}", BOTH_MISSING),
        (
            r#"{"source_caller_id":"79102223311","caller_id":102}"#,
            r#"["source_caller_id must be a number conforming to the specified constraints"]"#,
        ),
        (
            r#"{"source_caller_id":79102223311,"caller_id":""}"#,
            r#"["caller_id should not be empty","caller_id must be a number conforming to the specified constraints"]"#,
        ),
        (
            r#"{"source_caller_id":-1.5,"caller_id":102}"#,
            r#"["source_caller_id must be a whole number of 1 to 15 digits"]"#,
        ),
        (
            r#"{"source_caller_id":79102223311,"caller_id":1020}"#,
            r#"["caller_id must have 3 digits"]"#,
        ),
    ];
    for (prefix, base) in [("", ""), ("api", "/api"), ("/a/b/", "/a/b")] {
        let more = [("API_PREFIX", prefix), ("PBX_EXTENSION_LENGTH", "3")];
        let (simulator, app) = gateway(store, &more).await;
        for (body, message) in cdr {
            let reply = app.post("/pbx-api/cdr", body).await;
            assert_error(
                &reply,
                400,
                "Bad Request",
                message,
                &format!("{base}/pbx-api/cdr"),
            );
        }
        for (body, message) in make_call {
            let reply = app.post("/pbx-api/make-call", body).await;
            assert_error(
                &reply,
                400,
                "Bad Request",
                message,
                &format!("{base}/pbx-api/make-call"),
            );
        }
        for (method, path, status, reason) in [
            (Method::GET, "/pbx-api/nope", 404, "Not Found"),
            (Method::DELETE, "/nope?a=1", 404, "Not Found"),
            // The original said 404 here too.
            (Method::GET, "/pbx-api/make-call", 405, "Method Not Allowed"),
            (Method::POST, "/pbx-api/last-call-id", 405, "Method Not Allowed"),
        ] {
            let path = format!("{base}{path}");
            let reply = app.send(method.clone(), &path, &[], "").await;
            assert_error(
                &reply,
                status,
                reason,
                &format!(r#""Cannot {method} {path}""#),
                &path,
            );
        }
        assert!(simulator.asterisk().originates().is_empty());
    }
}

async fn fields_that_nobody_knows_are_ignored(store: &Store) {
    let (_simulator, app) = gateway(store, &[]).await;
    app.connected().await;
    let reply = app
        .post("/pbx-api/cdr", r#"{"call_id":"0","limit":{"a":[1]},"":null}"#)
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "[]"));
    let body = r#"{"app":"other","source_caller_id":79102223311,"endpoint":"PJSIP/1@x","caller_id":102}"#;
    call_of(&app.post("/pbx-api/make-call", body).await);
}

async fn origins_that_are_listed_may_call_and_others_may_not(store: &Store) {
    let more = [("MEGE__HTTP__ALLOWED_ORIGINS", "https://crm.example")];
    let (_simulator, app) = gateway(store, &more).await;
    let preflight = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,authorization"),
        ];
        app.send(Method::OPTIONS, "/pbx-api/make-call", &headers, "")
            .await
    };
    let header = |reply: &Reply, name: &str| {
        let value = reply.headers.get(name).and_then(|value| value.to_str().ok());
        let mut words: Vec<String> = value
            .into_iter()
            .flat_map(|value| value.split(", "))
            .map(str::to_lowercase)
            .collect();
        words.sort();
        words.join(", ")
    };
    let listed = preflight("https://crm.example").await;
    assert_eq!(listed.status, StatusCode::OK);
    for (name, expected) in [
        ("access-control-allow-origin", "https://crm.example"),
        ("access-control-allow-methods", "delete, get, options, post, put"),
        (
            "access-control-allow-headers",
            "authorization, content-type, origin, x-api-key",
        ),
        ("access-control-max-age", "3600"),
        ("access-control-allow-credentials", ""),
    ] {
        assert_eq!(header(&listed, name), expected, "{name}");
    }
    let foreign = preflight("https://evil.example").await;
    assert!(foreign.status.is_client_error());
    assert_eq!(header(&foreign, "access-control-allow-origin"), "");
}

async fn an_asterisk_that_is_down_at_the_start_is_said_and_found_later(store: &Store) {
    let simulator = simulator().await;
    simulator.asterisk().stop_listening().await;
    let app = TestApp::start(&variables(store, &simulator, &[])).await;
    let status = eventually("/status says so", LIMIT, async || {
        let status = app.status_of("asterisk.main").await;
        (status["detail"]["connection"] == "waiting").then_some(status)
    })
    .await;
    assert_eq!(
        (&status["state"], &status["usable"]),
        (&"running".into(), &false.into())
    );
    assert!(status["detail"]["error"].is_string(), "{status}");

    // Ready is about the gateway itself.
    app.ready().await;
    let reply = app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "[]"));
    let refused = app.make_call(102, 79_102_223_311).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.body
    );
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["code"], &error["outcome"], &error["retryable"]),
        (&"not_connected".into(), &"not_placed".into(), &true.into())
    );
    assert!(refused.retry_after.is_some());

    simulator.asterisk().listen_again().expect("the same port");
    app.connected().await;
    call_of(&app.make_call(102, 79_102_223_311).await);
    assert_eq!(
        simulator.asterisk().originates().len(),
        1,
        "what was refused was not kept for later"
    );
}
