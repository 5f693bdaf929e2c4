//! Clients that want to hold, confuse or exhaust the gateway: cut off, while others are answered.

mod bodies;
mod descriptors;
mod framing;
mod greedy;
mod peers_words;
mod places;
mod readers;
mod refusals;
mod slow_heads;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::app::LIMIT;
use crate::support::metrics;

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// `host:port` of an origin.
fn address(origin: &str) -> &str {
    origin.strip_prefix("http://").expect("an origin")
}

/// Sends bytes as they are and reads until the connection ends, within `limit`.
async fn raw(address: &str, request: &[u8], limit: Duration) -> String {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let talk = async {
        // It may be refused before it was all sent.
        let _ = socket.write_all(request).await;
        let mut answer = Vec::new();
        // A connection that is reset after its answer has had one all the same.
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let ended = timeout(limit, talk).await;
    ended.unwrap_or_else(|_| {
        panic!(
            "not ended: {}",
            String::from_utf8_lossy(&request[..request.len().min(80)])
        )
    })
}

/// How long an honest request takes on a connection of its own.
async fn honest(address: &str) -> Duration {
    let begun = Instant::now();
    let answer = raw(address, LIVEZ, LIMIT).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    begun.elapsed()
}

/// The sum of a metric's values that have the label; 0 when there is none.
async fn metric(address: &str, name: &str, label: &str) -> f64 {
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let metrics = raw(address, request, LIMIT).await;
    metrics::sum(&metrics, name, &[label]).unwrap_or_default()
}
