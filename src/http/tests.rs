//! The routes over a real socket.

mod arrays;
mod browsers;
mod documents;
mod errors;
mod health;
mod limits;
mod logs;
mod support;

use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};

use support::TestApp;

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
    let (simulator, app) = TestApp::simulated(&[("API_PREFIX", "api")]).await;
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
    assert!(simulator.asterisk().originates().is_empty());
}

/// The text with every digit made a zero.
fn shape_of(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

#[actix_web::test]
async fn numbers_that_cannot_be_dialled_never_reach_the_originate() {
    let (simulator, app) = TestApp::simulated(&[("PBX_EXTENSION_LENGTH", "3")]).await;
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
    assert!(simulator.asterisk().originates().is_empty());
}

#[actix_web::test]
async fn a_call_is_placed_with_exactly_the_numbers_that_were_sent() {
    let (simulator, app) = TestApp::simulated(&[("PBX_EXTENSION_LENGTH", "3")]).await;
    for (source, extension, dialled) in [
        ("79102223311", "102", "79102223311"),
        ("1e3", "102.0", "1000"),
        ("999999999999999", "1.02e2", "999999999999999"),
    ] {
        let body = format!(r#"{{"source_caller_id":{source},"caller_id":{extension},"more":1}}"#);
        let answer = app.post("/pbx-api/make-call", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}");
        let placed = simulator.asterisk().originates().pop().unwrap();
        assert_eq!(placed.extension.as_deref(), Some(dialled));
        assert!(placed.endpoint.starts_with("PJSIP/102@"), "{}", placed.endpoint);
        let call_id = placed.channel_id.unwrap();
        let expected = format!(r#"{{"uniqueid":"{call_id}","originateCallStatus":"successful"}}"#);
        assert_eq!(answer.text(), expected);
    }
}

#[actix_web::test]
async fn the_last_call_id_of_an_empty_store_is_empty() {
    let app = TestApp::start(&[("PAC_HOST", "127.0.0.1:1")]).await;
    let answer = app.get("/pbx-api/last-call-id").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, r#"{"call_id":""}"#)
    );
}

#[actix_web::test]
async fn an_error_names_the_path_and_never_the_host_that_was_asked_for() {
    let app = TestApp::start(&[]).await;
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
    let app = TestApp::start(&[("API_PREFIX", "api")]).await;
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
