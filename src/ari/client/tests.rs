//! What an originate's end says of the call, against a peer that only speaks TCP.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::actor::{Classify as _, FailureClass};
use crate::telephony::{Extension, PhoneNumber};

/// A client of an Asterisk on this port.
fn client(port: u16) -> AriClient {
    let settings = json!({
        "host": "127.0.0.1", "port": port, "user": "mege", "password": "secret",
        "trunk": "3cx", "context": "outgoing", "request_timeout_ms": 500,
    });
    AriClient::new(&serde_json::from_value(settings).unwrap())
}

async fn originate(client: &AriClient) -> Result<(), AriError> {
    let message = Originate {
        extension: Extension::parse("102", None).unwrap(),
        number: PhoneNumber::parse("79102223311").unwrap(),
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    client
        .originate(CallId::mint(), &message, deadline)
        .await
        .map(|_| ())
}

/// What becomes of an originate when the peer reads it whole, writes this and closes in order.
async fn answered_with(answer: &'static str) -> Result<(), AriError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client(listener.local_addr().unwrap().port());
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let (request, placed) = futures_util::join!(peer, originate(&client));
    assert!(request.starts_with("POST /ari/channels/"), "{request}");
    assert!(
        request.contains("authorization: Basic bWVnZTpzZWNyZXQ="),
        "{request}"
    );
    placed
}

fn response(status: &str, body: &str) -> &'static str {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").leak()
}

#[actix_rt::test]
async fn a_peer_that_reads_the_request_and_closes_leaves_it_unknown() {
    let placed = answered_with("").await;
    assert!(matches!(placed, Err(AriError::OutcomeUnknown(_))), "{placed:?}");
}

#[actix_rt::test]
async fn only_an_answer_that_rules_a_call_out_is_a_refusal() {
    let allocation = r#"{"error":"Allocation failed"}"#;
    let table = [
        ("200 OK", r#"{"id":"1"}"#, "placed"),
        ("200 OK", "garbage", "placed"),
        (
            "400 Bad Request",
            r#"{"message":"Invalid endpoint specified"}"#,
            "rejected",
        ),
        ("401 Unauthorized", "{}", "unauthorized"),
        ("403 Forbidden", "{}", "rejected"),
        ("404 Not Found", "{}", "rejected"),
        ("408 Request Timeout", "", "unknown"),
        ("409 Conflict", "{}", "unknown"),
        ("500 Internal Server Error", allocation, "rejected"),
        ("500 Internal Server Error", "oops", "unknown"),
        ("502 Bad Gateway", "", "unknown"),
        ("503 Service Unavailable", "", "unknown"),
        ("504 Gateway Timeout", "", "unknown"),
        ("302 Found", "", "unknown"),
    ];
    for (status, body, expected) in table {
        let placed = answered_with(response(status, body)).await;
        let told = match &placed {
            Ok(()) => "placed",
            Err(AriError::Rejected { .. }) => "rejected",
            Err(AriError::Unauthorized) => "unauthorized",
            Err(AriError::OutcomeUnknown(_)) => "unknown",
            Err(_) => "something else",
        };
        assert_eq!(told, expected, "{status} {body}: {placed:?}");
    }
}

#[actix_rt::test]
async fn an_answer_that_does_not_come_in_time_leaves_it_unknown() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client(listener.local_addr().unwrap().port());
    let begun = Instant::now();
    let (_socket, placed) = futures_util::join!(listener.accept(), originate(&client));
    assert!(matches!(placed, Err(AriError::NoAnswer)), "{placed:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "the request's own time, not the caller's"
    );
}

#[actix_rt::test]
async fn with_no_time_left_nothing_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client(listener.local_addr().unwrap().port());
    let message = Originate {
        extension: Extension::parse("102", None).unwrap(),
        number: PhoneNumber::parse("79102223311").unwrap(),
    };
    let deadline = Instant::now() + LEAST / 2;
    let placed = client.originate(CallId::mint(), &message, deadline).await;
    let error = placed.unwrap_err();
    assert_eq!(
        (&error, error.failure_class()),
        (&AriError::TooLate, FailureClass::NotAsked),
        "which says nothing of Asterisk"
    );
    let connected = tokio::time::timeout(LEAST, listener.accept()).await;
    assert!(connected.is_err(), "nobody came");
}

#[actix_rt::test]
async fn a_peer_that_is_not_there_was_sent_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = client(listener.local_addr().unwrap().port());
    drop(listener);
    let placed = originate(&client).await;
    assert!(matches!(placed, Err(AriError::RequestNotSent(_))), "{placed:?}");
}
