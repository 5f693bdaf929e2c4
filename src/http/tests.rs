//! The routes over a real socket, with made-up actors behind them.

mod browsers;
mod documents;
mod doors;
mod health;
mod logs;
mod support;

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Failure;
use crate::actor::AskError;
use crate::ari::{AriError, OriginateError};
use crate::database::StoreError;
use support::{FakeGateway, TestApp, pages, row};

const SECOND: Duration = Duration::from_secs(1);

const NUMBER: &str = "must be a number conforming to the specified constraints";

fn both_missing() -> Value {
    json!([
        "source_caller_id should not be empty",
        format!("source_caller_id {NUMBER}"),
        "caller_id should not be empty",
        format!("caller_id {NUMBER}"),
    ])
}

#[actix_web::test]
async fn bad_bodies_get_the_originals_words() {
    let app = TestApp::start(FakeGateway::default(), &[("API_PREFIX", "api")]);
    let not_a_string = "call_id must be a string";
    let empty = "call_id should not be empty";
    let table = [
        ("cdr", "{}", json!([not_a_string, empty])),
        ("cdr", "", json!([not_a_string, empty])),
        ("cdr", r#"{"call_id":null}"#, json!([not_a_string, empty])),
        ("cdr", r#"{"call_id":""}"#, json!([empty])),
        ("cdr", r#"{"call_id":5}"#, json!([not_a_string])),
        ("cdr", r#"{"call_id":["a"]}"#, json!([not_a_string])),
        (
            "cdr",
            r#"{"call_id":"a\u0000"}"#,
            json!(["call_id must not hold a NUL"]),
        ),
        ("cdr", "call_id=5", json!("expected value at line 1 column 1")),
        ("cdr", "[]", json!("the body must be a JSON object")),
        ("make-call", "{}", both_missing()),
        ("make-call", r#"{"caller_id":null}"#, both_missing()),
        (
            "make-call",
            "{",
            json!("EOF while parsing an object at line 1 column 1"),
        ),
        (
            "make-call",
            r#"{"source_caller_id":"79102223311","caller_id":""}"#,
            json!([
                format!("source_caller_id {NUMBER}"),
                "caller_id should not be empty",
                format!("caller_id {NUMBER}")
            ]),
        ),
        (
            "make-call",
            r#"{"source_caller_id":1,"caller_id":true}"#,
            json!([format!("caller_id {NUMBER}")]),
        ),
    ];
    for (route, body, message) in table {
        let path = format!("/api/pbx-api/{route}");
        let answer = app.post(&path, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{route} {body}");
        let mut document = answer.json();
        let timestamp = document["timestamp"].take();
        let shape = shape_of(timestamp.as_str().unwrap());
        assert_eq!(shape, "0000-00-00T00:00:00.000Z");
        let expected = json!({
            "status": 400,
            "error": {"message": message, "error": "Bad Request", "statusCode": 400},
            "path": path,
            "timestamp": null,
        });
        assert_eq!(document, expected, "{route} {body}");
    }
    assert_eq!(app.gateway.asked(), 0);
}

/// The text with every digit made a zero.
fn shape_of(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

#[actix_web::test]
async fn numbers_that_cannot_be_dialled_never_reach_the_originate() {
    let variables = [("PAC_HOST", "pbx.example:1"), ("PBX_EXTENSION_LENGTH", "3")];
    let app = TestApp::start(FakeGateway::default(), &variables);
    let number = "source_caller_id must be a whole number of 1 to 15 digits";
    let digits = "caller_id must be a whole number of 1 to 10 digits";
    let length = "caller_id must have 3 digits";
    let words = format!("source_caller_id {NUMBER}");
    let table = [
        ("-1", "102", vec![number]),
        ("-1.5", "102", vec![number]),
        ("1.5", "102", vec![number]),
        ("1e-3", "102", vec![number]),
        ("1e999", "102", vec![number]),
        ("1234567890123456", "102", vec![number]),
        ("79102223311", "10", vec![length]),
        ("79102223311", "1020", vec![length]),
        ("79102223311", "-102", vec![digits]),
        ("79102223311", "10.5", vec![digits]),
        ("79102223311", "12345678901", vec![digits]),
        ("-1", "1020", vec![number, length]),
        (r#""100&PJSIP/200""#, "102", vec![words.as_str()]),
        (r#""100/n""#, "102", vec![words.as_str()]),
        (r#""100@trunk""#, "102", vec![words.as_str()]),
        (r#""100;2""#, "102", vec![words.as_str()]),
        (r#""100\r\nX-Evil: 1""#, "102", vec![words.as_str()]),
        (r#"[79102223311]"#, "102", vec![words.as_str()]),
    ];
    for (source, extension, complaints) in table {
        let body = format!(r#"{{"source_caller_id":{source},"caller_id":{extension}}}"#);
        let answer = app.post("/pbx-api/make-call", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.json()["error"]["message"], json!(complaints), "{body}");
    }
    assert_eq!(app.gateway.asked(), 0);
}

#[actix_web::test]
async fn a_call_is_placed_with_exactly_the_numbers_that_were_sent() {
    let variables = [("PAC_HOST", "pbx.example:1"), ("PBX_EXTENSION_LENGTH", "3")];
    let app = TestApp::start(FakeGateway::default(), &variables);
    for (source, extension, dialled) in [
        ("79102223311", "102", "79102223311"),
        ("1e3", "102.0", "1000"),
        ("999999999999999", "1.02e2", "999999999999999"),
    ] {
        let body = format!(r#"{{"source_caller_id":{source},"caller_id":{extension},"more":1}}"#);
        let answer = app.post("/pbx-api/make-call", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}");
        let placed = app.gateway.last_originate();
        let call_id = placed.call_id;
        assert_eq!(placed.number.as_str(), dialled);
        assert_eq!(placed.extension.as_str(), "102");
        let expected = format!(r#"{{"uniqueid":"{call_id}","originateCallStatus":"successful"}}"#);
        assert_eq!(answer.text(), expected);
    }
}

/// Status, code, outcome, retryable, Retry-After.
type Told = (u16, &'static str, &'static str, bool, Option<&'static str>);

#[actix_web::test]
async fn a_call_that_was_not_placed_is_never_a_success_and_says_what_is_known() {
    let table: [(AskError<OriginateError>, Told); 6] = [
        (
            AskError::Saturated { retry_after: SECOND },
            (503, "saturated", "not_placed", true, Some("1")),
        ),
        (
            AskError::DeadlineExceeded { begun: false },
            (504, "deadline_exceeded", "not_placed", true, None),
        ),
        (
            AskError::DeadlineExceeded { begun: true },
            (502, "originate_outcome_unknown", "unknown", false, None),
        ),
        (
            AskError::Interrupted,
            (502, "originate_outcome_unknown", "unknown", false, None),
        ),
        (
            AskError::Reply(OriginateError::NotConnected("connection refused".to_owned())),
            (503, "not_connected", "not_placed", true, Some("5")),
        ),
        (
            AskError::Reply(AriError::Unauthorized.into()),
            (502, "credentials_refused", "not_placed", true, None),
        ),
    ];
    for (error, (status, code, outcome, retryable, retry_after)) in table {
        let failure = Failure::from(error);
        let app = TestApp::start(FakeGateway::failing(failure.clone()), &[]);
        let answer = app
            .post(
                "/pbx-api/make-call",
                r#"{"source_caller_id":79102223311,"caller_id":102}"#,
            )
            .await;
        assert_eq!(answer.status.as_u16(), status, "{code}");
        assert_eq!(answer.header("retry-after"), retry_after, "{code}");
        let document = answer.json();
        let expected = json!({
            "message": failure.message,
            "error": answer.status.canonical_reason(),
            "statusCode": status,
            "code": code,
            "retryable": retryable,
            "outcome": outcome,
            "request_id": answer.header("x-request-id"),
        });
        assert_eq!(document["error"], expected);
        assert_eq!(document["status"], status);
    }
}

#[actix_web::test]
async fn reads_that_failed_have_the_originals_shape_and_no_outcome() {
    let unavailable = AskError::Reply(StoreError::Unavailable("db:5432".to_owned()));
    let app = TestApp::start(FakeGateway::failing(unavailable.into()), &[]);
    let answers = [
        app.get("/pbx-api/last-call-id").await,
        app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), Some("5"));
        let document = answer.json();
        assert_eq!(document["error"]["code"], "store_unavailable");
        assert_eq!(document["error"]["outcome"], Value::Null);
        assert!(!answer.text().contains("db:5432"));
    }
    let app = TestApp::start(FakeGateway::failing(Failure::not_configured("3CX")), &[]);
    let answer = app.get("/pbx-api/last-call-id").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, None)
    );
    assert_eq!(answer.json()["error"]["code"], "not_configured");
}

#[actix_web::test]
async fn the_last_call_id_of_an_empty_store_is_empty() {
    let app = TestApp::start(FakeGateway::default(), &[]);
    let answer = app.get("/pbx-api/last-call-id").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, r#"{"call_id":""}"#)
    );
    let stored = FakeGateway::holding("00000000-01dd-7a15-d07f-8ab0000f4240");
    let app = TestApp::start(stored, &[]);
    let expected = r#"{"call_id":"00000000-01dd-7a15-d07f-8ab0000f4240"}"#;
    assert_eq!(app.get("/pbx-api/last-call-id").await.text(), expected);
}

#[actix_web::test]
async fn cdrs_come_as_one_array_however_many_pages_they_are() {
    let none: [usize; 0] = [];
    let table: [(&[usize], usize); 6] = [
        (&none, 0),
        (&[1], 1),
        (&[2, 3], 5),
        (&[0, 2], 2),
        (&[1, 0, 1], 2),
        (&[200, 200, 7], 407),
    ];
    for (sizes, total) in table {
        let sizes = sizes.to_vec();
        let gateway = FakeGateway::with_pages(move || pages(sizes.iter().map(|size| Ok(*size))));
        let app = TestApp::start(
            gateway,
            &[("PAC_HOST", "a:1"), ("PBX_RECORDING_PATH", "https://r.example")],
        );
        let answer = app.post("/pbx-api/cdr", r#"{"call_id":"0","more":true}"#).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        let rows = answer.json();
        assert_eq!(rows.as_array().unwrap().len(), total);
        for (i, found) in rows.as_array().unwrap().iter().enumerate() {
            assert_eq!(found["cdr_id"], json!(row(i).cdr_id));
            assert_eq!(found["recording_url"], "https://r.example/110/a%20b.wav");
        }
        assert_eq!(app.gateway.last_search(), "0");
    }
}

/// Asks for CDRs and says whether the array was ended as one, or cut off.
async fn was_cut_off(app: &TestApp) -> bool {
    let body = r#"{"call_id":"0"}"#;
    let request = format!(
        "POST /pbx-api/cdr HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = app.raw(request.as_bytes()).await;
    !answer.ends_with("0\r\n\r\n")
}

#[actix_web::test]
async fn an_array_that_breaks_off_is_never_taken_for_a_short_one() {
    let whole = FakeGateway::with_pages(|| pages([Ok(2), Ok(2)]));
    assert!(!was_cut_off(&TestApp::start(whole, &[])).await);
    let broken = || StoreError::Unavailable("gone".to_owned());
    let broken = FakeGateway::with_pages(move || pages([Ok(2), Ok(2), Err(broken())]));
    assert!(was_cut_off(&TestApp::start(broken, &[])).await);
}

#[actix_web::test]
async fn an_array_whose_pages_stop_coming_is_cut_off_at_the_deadline() {
    let (keep, hang) = tokio::sync::mpsc::channel(1);
    let hang = std::sync::Mutex::new(Some(hang));
    let gateway = FakeGateway::with_pages(move || crate::cdr::CdrPages {
        first: vec![row(0)],
        rest: hang.lock().unwrap().take().expect("asked once"),
    });
    let app = TestApp::start(gateway, &[("MEGE__HTTP__TIMEOUT_MS", "200")]);
    assert!(was_cut_off(&app).await);
    drop(keep);
}

#[actix_web::test]
async fn an_error_names_the_path_and_never_the_host_that_was_asked_for() {
    let app = TestApp::start(FakeGateway::default(), &[]);
    for (method, path) in [
        ("GET", "/nope?x=1"),
        ("GET", "/docs/nope"),
        ("POST", "/pbx-api/cdr"),
    ] {
        let request = format!(
            "{method} http://evil.example{path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = app.raw(request.as_bytes()).await;
        assert!(answer.contains(&format!(r#""path":"{path}""#)), "{answer}");
        assert!(!answer.contains("evil.example"), "{answer}");
    }
}

#[actix_web::test]
async fn what_is_not_there_is_a_404_in_the_originals_words() {
    let app = TestApp::start(FakeGateway::default(), &[("API_PREFIX", "api")]);
    let table = [
        (Method::GET, "/api/pbx-api/nope"),
        (Method::GET, "/pbx-api/last-call-id"),
        (Method::GET, "/"),
        (Method::GET, "/nope?x=%0d%0aX-Evil:%201"),
    ];
    for (method, path) in table {
        let answer = app.send(method.clone(), path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        let document = answer.json();
        assert_eq!(document["error"]["message"], format!("Cannot {method} {path}"));
        assert_eq!(document["error"]["error"], "Not Found");
        assert_eq!(document["path"], path);
        assert_eq!(answer.header("x-evil"), None);
    }
}
