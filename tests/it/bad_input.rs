//! What makes no sense is refused, with words about what is wrong, and goes nowhere.

mod configuration;

use awc::http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{LIMIT, Reply, TestApp, simulated, simulator};

/// Values that are no number to dial, as they stand in a JSON text.
const NO_NUMBERS: [&str; 34] = [
    "-1",
    "-0",
    "-1.5",
    "-79102223311",
    "1.5",
    "0.1e-1",
    "102.00000000000000000000001",
    "1234567890123456",
    "10000000000000000000000",
    "1e15",
    "1e400",
    "1e999999999",
    "1e-999999999",
    "1e99999999999999999999999999",
    "true",
    "null",
    "[]",
    "[102]",
    "{}",
    "{\"$\":1}",
    "\"\"",
    "\"102\"",
    "\"102&PJSIP/200\"",
    "\"102/n\"",
    "\"102@trunk\"",
    "\"102;id=1\"",
    "\"102\\r\\nX-Evil: 1\"",
    "\"102\\u000d\\u000aHangup: 1\"",
    "\"102\\u0000\"",
    "\"102 \"",
    "\"${EXTEN}\"",
    "\"102,1,Hangup()\"",
    "\"\\u0661\\u0660\\u0662\"",
    "\"'; DROP TABLE cdr; --\"",
];

fn assert_names(reply: &Reply, field: &str, sent: &str) {
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{sent}: {}", reply.body);
    let complaints = reply.json()["error"]["message"].take();
    let complaints: Vec<String> = serde_json::from_value(complaints).expect("complaints");
    assert!(!complaints.is_empty(), "{sent}");
    let about = format!("{field} ");
    assert!(
        complaints.iter().all(|words| words.starts_with(&about)),
        "{sent}: {complaints:?}"
    );
}

#[actix_rt::test]
async fn no_bad_number_or_body_reaches_asterisk() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.ready().await;
    app.connected().await;
    for value in NO_NUMBERS {
        let body = format!(r#"{{"source_caller_id":{value},"caller_id":102}}"#);
        assert_names(
            &app.post("/pbx-api/make-call", body).await,
            "source_caller_id",
            value,
        );
        let body = format!(r#"{{"source_caller_id":79102223311,"caller_id":{value}}}"#);
        assert_names(&app.post("/pbx-api/make-call", body).await, "caller_id", value);
    }
    // An extension is shorter than a number may be.
    let reply = app.make_call(12_345_678_901, 79_102_223_311).await;
    assert_names(&reply, "caller_id", "eleven digits");
    bodies(&app).await;
    injections(&app).await;
    assert!(
        simulator.asterisk().originates().is_empty(),
        "nothing reached Asterisk"
    );
    // And it was no accident: a good one does.
    assert_eq!(app.make_call(102, 79_102_223_311).await.status, StatusCode::OK);
    assert_eq!(simulator.asterisk().originates().len(), 1);
}

/// Bodies that are no JSON object, not text at all, or too much.
async fn bodies(app: &TestApp) {
    let call = r#"{"source_caller_id":79102223311,"caller_id":102}"#;
    let bodies: [&[u8]; 13] = [
        b"source_caller_id=79102223311&caller_id=102",
        b"<call/>",
        b"null",
        b"102",
        b"[]",
        b"\"{}\"",
        b"{\"source_caller_id\":79102223311,\"caller_id\":102",
        b"{\"source_caller_id\":79102223311,\"caller_id\":102}}",
        b"{\"source_caller_id\":079102223311,\"caller_id\":102}",
        b"{\"source_caller_id\":0x1,\"caller_id\":102}",
        b"{\"source_caller_id\":NaN,\"caller_id\":102}",
        b"{\"source_caller_id\":79102223311,\"caller_id\":102,\"a\":\"\xff\xfe\"}",
        b"\0\0\0\0",
    ];
    for route in ["/pbx-api/make-call", "/pbx-api/cdr"] {
        for body in bodies {
            let shown = String::from_utf8_lossy(body).into_owned();
            let reply = app.post(route, body).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{shown}: {}", reply.body);
            let error = reply.json()["error"]["message"].take();
            assert!(
                error.as_str().is_some_and(|words| !words.is_empty()),
                "{shown}: {error}"
            );
        }
        let large = format!("{}{call}", " ".repeat(3_000_000));
        let reply = app.post(route, large).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let headers = [("content-type", kind)];
        let reply = app.send(Method::POST, "/pbx-api/make-call", &headers, call).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{kind}");
    }
}

/// Requests that try to be two, or to put a header into the answer.
async fn injections(app: &TestApp) {
    let call = r#"{"source_caller_id":79102223311,"caller_id":102}"#;
    let length = call.len();
    let head = "POST /pbx-api/make-call HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let requests = [
        "GET /pbx-api/x%0d%0ax-evil:1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_owned(),
        "GET /pbx-api/x\r\nx-evil: 1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_owned(),
        format!("{head}content-length: {length}\r\ncontent-length: 0\r\n\r\n{call}"),
        format!("{head}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{call}"),
        format!("{head}content-length : {length}\r\n\r\n{call}"),
        format!("{head}content-length: -1\r\n\r\n{call}"),
        format!("{head}x-request-id: a\rx-evil: 1\r\ncontent-length: {length}\r\n\r\n{call}"),
    ];
    let address = app.origin.strip_prefix("http://").expect("an address");
    for request in requests {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket
            .write_all(request.as_bytes())
            .await
            .expect("a request sent");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, socket.read_to_end(&mut answer)).await;
        // A connection that is reset after its answer has had one all the same.
        let _ = read.expect("the connection is closed");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 4"), "{request:?}: {answer}");
        assert!(!answer.contains("\nx-evil"), "{request:?}: {answer}");
    }
}
