//! What stands between a caller and the routes: sizes, times, types, origins, ids.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::both_missing;
use super::support::TestApp;

const JSON: (&str, &str) = ("content-type", "application/json");
const CALL: &str = r#"{"source_caller_id":79102223311,"caller_id":102}"#;

#[actix_web::test]
async fn bodies_over_the_limit_are_refused() {
    let (simulator, app) = TestApp::simulated(&[]).await;
    for route in ["cdr", "make-call"] {
        let path = format!("/pbx-api/{route}");
        for size in [100 * 1024 + 1, 3_000_000] {
            let large = Bytes::from(vec![b' '; size]);
            let answer = app.send(Method::POST, &path, &[JSON], large).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(answer.json()["error"]["message"], "request entity too large");
        }
    }
    assert!(simulator.asterisk().originates().is_empty());
    // As large as allowed is fine.
    let padded = format!("{}{CALL}", " ".repeat(100 * 1024 - CALL.len()));
    let answer = app.post("/pbx-api/make-call", &padded).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(simulator.asterisk().originates().len(), 1);
}

#[actix_web::test]
async fn three_megabytes_are_refused_before_they_were_all_sent() {
    let (simulator, app) = TestApp::simulated(&[]).await;
    for framing in ["content-length: 3000000", "transfer-encoding: chunked"] {
        let head = format!(
            "POST /pbx-api/make-call HTTP/1.1\r\nhost: localhost\r\n{}: {}\r\n{framing}\r\n\r\n",
            JSON.0, JSON.1
        );
        let mut socket = TcpStream::connect(app.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        if framing.starts_with("transfer") {
            socket.write_all(b"2dc6c0\r\n").await.unwrap();
        }
        // Enough to be over the limit, far from all.
        socket.write_all(&vec![b' '; 200_000]).await.unwrap();
        let mut first = [0; 64];
        let read = tokio::time::timeout(Duration::from_secs(60), socket.read(&mut first));
        let read = read
            .await
            .expect("an answer comes while the body is not all sent")
            .unwrap();
        let line = String::from_utf8_lossy(&first[..read]).into_owned();
        assert!(line.starts_with("HTTP/1.1 413 "), "{framing}: {line}");
    }
    assert!(simulator.asterisk().originates().is_empty());
}

#[actix_web::test]
async fn bodies_that_are_not_utf8_or_not_json_are_refused() {
    let (simulator, app) = TestApp::simulated(&[]).await;
    for body in [&b"{\"call_id\":\"\xff\"}"[..], b"\xff\xfe", b"\0", b"<a/>"] {
        for route in ["cdr", "make-call"] {
            let path = format!("/pbx-api/{route}");
            let answer = app.send(Method::POST, &path, &[JSON], body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(answer.json()["error"]["message"].is_string());
        }
    }
    assert!(simulator.asterisk().originates().is_empty());
}

#[actix_web::test]
async fn a_body_that_does_not_say_it_is_json_is_not_read() {
    let (simulator, app) = TestApp::simulated(&[]).await;
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[],
    ] {
        let answer = app.send(Method::POST, "/pbx-api/make-call", headers, CALL).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["error"]["message"], both_missing());
    }
    assert!(simulator.asterisk().originates().is_empty());
    for json in ["application/json; charset=utf-8", "Application/JSON"] {
        let headers = [("content-type", json)];
        let answer = app.send(Method::POST, "/pbx-api/make-call", &headers, CALL).await;
        assert_eq!(answer.status, StatusCode::OK, "{json}");
    }
}

#[actix_web::test]
async fn a_body_that_does_not_come_ends_at_the_deadline() {
    let (simulator, app) = TestApp::simulated(&[("MEGE__HTTP__TIMEOUT_MS", "200")]).await;
    let answer = app
        .raw(b"POST /pbx-api/make-call HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(simulator.asterisk().originates().is_empty());
}

#[actix_web::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let app = TestApp::start(&[]).await;
    let answer = app.raw(b"GET /livez HTTP/1.1\r\nhost: ").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[actix_web::test]
async fn line_breaks_in_a_request_do_not_become_headers() {
    let app = TestApp::start(&[]).await;
    for request in [
        "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: a\rx-evil: 1\r\n\r\n",
        "GET /livez\r\nx-evil: 1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /a%0d%0ax-evil:1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    ] {
        let answer = app.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("\nx-evil"), "{answer}");
    }
}

#[actix_web::test]
async fn a_harmless_request_id_is_kept_and_any_other_replaced() {
    let app = TestApp::start(&[]).await;
    let longest = "a".repeat(64);
    for id in ["crm-42_A", longest.as_str()] {
        let answer = app.send(Method::GET, "/livez", &[("x-request-id", id)], "").await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    let too_long = "a".repeat(65);
    for id in ["", "a b", "a\"b", "a;b", too_long.as_str()] {
        let answer = app.send(Method::GET, "/nope", &[("x-request-id", id)], "").await;
        let made: Uuid = answer.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(made.get_version_num(), 7, "{id}");
    }
}

#[actix_web::test]
async fn only_listed_origins_may_call_from_a_browser() {
    let ask = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let mut listed = vec![("origin", "https://crm.example")];
    listed.extend(ask);
    let mut foreign = vec![("origin", "https://evil.example")];
    foreign.extend(ask);
    let path = "/pbx-api/make-call";
    let variables = [("MEGE__HTTP__ALLOWED_ORIGINS", "https://crm.example")];
    let open = TestApp::start(&variables).await;
    let closed = TestApp::start(&[]).await;

    let answer = open.send(Method::OPTIONS, path, &listed, "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://crm.example")
    );
    assert_eq!(answer.header("access-control-max-age"), Some("3600"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let sorted = |header: &str| {
        let mut words: Vec<String> = answer
            .header(header)
            .unwrap()
            .split(", ")
            .map(str::to_lowercase)
            .collect();
        words.sort();
        words
    };
    assert_eq!(
        sorted("access-control-allow-methods"),
        ["delete", "get", "options", "post", "put"]
    );
    assert_eq!(
        sorted("access-control-allow-headers"),
        ["authorization", "content-type", "origin", "x-api-key"]
    );

    for (app, headers) in [(&open, &foreign), (&closed, &listed), (&closed, &foreign)] {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = app.send(method, path, headers, "").await;
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(answer.status.is_client_error());
        }
    }
}
