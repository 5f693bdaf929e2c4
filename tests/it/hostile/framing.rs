//! HTTP/1 that means one thing to one reader and another to the next, or that has no end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{address, honest, metric, raw};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};

/// A call that would be placed, if it were taken for a request of its own.
const CALL: &str = r#"{"source_caller_id":79102223311,"caller_id":102}"#;

/// What each begins with; it ends where the body begins or the framing goes wrong.
const POST: &str = "POST /pbx-api/cdr HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Requests that are to be refused. `smuggled` follows each.
const AMBIGUOUS: [&str; 24] = [
    "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    "content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "content-length: 2\r\ncontent-length: 37\r\n\r\n{}",
    "content-length: 2, 2\r\n\r\n{}",
    "content-length: +2\r\n\r\n{}",
    "content-length: 0x2\r\n\r\n{}",
    "content-length : 2\r\n\r\n{}",
    "content-length: 99999999999999999999\r\n\r\n{}",
    "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "transfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
    // A line feed alone ends no line of a chunk, and hides no header that frames the body.
    "transfer-encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "transfer-encoding: chunked\r\n\r\n2;\n\r\n{}\r\n0\r\n\r\n",
    "x: y\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    // Lines within lines.
    "x: y\r\n z\r\n\r\n",
    "x: y\rcontent-length: 2\r\n\r\n{}",
    "x: y\0z\r\n\r\n",
    "x\0y: z\r\n\r\n",
];

#[actix_rt::test]
async fn what_can_be_read_in_two_ways_is_refused_and_smuggles_nothing() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let to = address(&app.origin);
    let length = CALL.len();
    let smuggled = format!(
        "POST /pbx-api/make-call HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{CALL}"
    );
    let mut requests: Vec<String> = AMBIGUOUS
        .iter()
        .map(|ending| format!("{POST}{ending}{smuggled}"))
        .collect();
    requests.extend([
        format!("POST /pbx-api/cdr HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("GET /livez HTTP/1.1\r\n\r\n{smuggled}"),
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nhost: b\r\n\r\n{smuggled}"),
        format!("GET /livez\r\n\r\n{smuggled}"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{smuggled}"),
    ]);
    let begun = metric(to, "mege_http_malformed_total", "").await;
    assert!(begun < 1.0, "{begun}");
    for request in &requests {
        let answer = raw(to, request.as_bytes(), LIMIT).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
    }
    assert!(
        simulator.asterisk().originates().is_empty(),
        "nothing was smuggled"
    );
    // And it is no accident: by itself it is a call.
    let alone = smuggled.replace("host: localhost\r\n", "host: localhost\r\nconnection: close\r\n");
    let answer = raw(to, alone.as_bytes(), LIMIT).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(simulator.asterisk().originates().len(), 1);
    app.stop().await;
}

#[actix_rt::test]
async fn the_preface_of_http2_is_refused() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let app = TestApp::start(&[]).await;
    let to = address(&app.origin);
    for request in [PREFACE.to_vec(), [PREFACE, SETTINGS].concat()] {
        let answer = raw(to, &request, LIMIT).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    honest(to).await;
    app.stop().await;
}

#[actix_rt::test]
async fn heads_beyond_the_bound_are_refused() {
    let app = TestApp::start(&[]).await;
    let to = address(&app.origin);
    let many: String = (0..10_000).map(|number| format!("x{number}: y\r\n")).collect();
    let long = "y".repeat(200_000);
    for request in [
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{long}: x\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
    ] {
        let mut socket = TcpStream::connect(to).await.expect("a connection");
        // The answer is read while the request is sent, as it is reset once its end is refused.
        let mut answer = [0; 64];
        let _ = socket.write_all(request.as_bytes()).await;
        let read = timeout(LIMIT, socket.read(&mut answer)).await.expect("an end");
        let answer = String::from_utf8_lossy(&answer[..read.unwrap_or_default()]).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    honest(to).await;
    app.stop().await;
}

/// Bodies whose framing never ends are ended with the time for a body, and never become large here.
#[actix_rt::test]
async fn chunks_without_end_are_cut_off() {
    let app = TestApp::start(&[("MEGE__HTTP__TIMEOUT_MS", "2000".to_owned())]).await;
    let to = address(&app.origin);
    let head = format!("{POST}transfer-encoding: chunked\r\n\r\n");
    let endless = [
        ("2;", "x".repeat(1_000)),
        ("2\r\n{}\r\n0\r\n", "x: y\r\n".repeat(100)),
        ("", "1\r\n \r\n".repeat(100)),
        ("", "0".repeat(1_000)),
    ];
    let cut = endless.map(|(begin, forever)| {
        let head = &head;
        async move {
            let mut socket = TcpStream::connect(to).await.expect("a connection");
            let begin = format!("{head}{begin}");
            socket.write_all(begin.as_bytes()).await.expect("a beginning");
            let mut sent = 0;
            let flood = async {
                while sent < 256 << 20 && socket.write_all(forever.as_bytes()).await.is_ok() {
                    sent += forever.len();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(LIMIT, flood).await.expect("an end");
            assert!(sent < 64 << 20, "{sent} bytes after {begin:?}");
        }
    });
    join_all(cut).await;
    honest(to).await;
    app.stop().await;
}
