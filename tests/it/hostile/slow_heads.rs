//! Request heads that come a byte now and then.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::{LIVEZ, address, honest, metric};
use crate::support::app::{LIMIT, TestApp};
use crate::support::eventually;

const SOCKETS: usize = 1_000;

/// When each must be gone. That it is after 5 s is shown beside `src/http/connection/watch.rs`.
const GONE: Duration = Duration::from_secs(30);

/// How often it sends a byte.
const TRICKLE: Duration = Duration::from_secs(10);

/// Sends a byte now and then until the connection ends.
async fn trickle(mut socket: TcpStream, every: Duration) -> Duration {
    let begun = Instant::now();
    let mut answer = [0; 1024];
    loop {
        match timeout(every, socket.read(&mut answer)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return begun.elapsed(),
            Err(_) => drop(socket.write_all(b"a").await),
        }
    }
}

#[actix_rt::test]
async fn a_thousand_slow_sockets_are_gone_soon_and_harm_nobody() {
    let app = TestApp::start(&[]).await;
    let to = address(&app.origin);
    // One that has nobody to fear.
    let calm = TestApp::start(&[]).await;
    let sockets = (0..SOCKETS).map(|_| async {
        let mut socket = TcpStream::connect(to).await.expect("a connection");
        socket.write_all(b"GET /livez HT").await.expect("a byte");
        socket
    });
    let sockets = join_all(sockets).await;
    let slow: Vec<_> = sockets
        .into_iter()
        .map(|socket| actix_rt::spawn(trickle(socket, TRICKLE)))
        .collect();
    eventually("all are held at once", LIMIT, async || {
        (metric(to, "mege_http_connections", "").await > 1_000.0).then_some(())
    })
    .await;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..50 {
        times[0].push(honest(to).await);
        times[1].push(honest(address(&calm.origin)).await);
        sleep(Duration::from_millis(20)).await;
    }
    let [beside, alone] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(beside < 20 * alone, "{beside:?}, and of another {alone:?}");
    for lasted in join_all(slow).await {
        let lasted = lasted.expect("no panic");
        assert!(lasted < GONE, "{lasted:?}");
    }
    eventually("each was counted", LIMIT, async || {
        let cut = metric(to, "mege_http_connections_cut_total", "slow_head").await;
        (cut == 1_000.0).then_some(())
    })
    .await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_connection_that_had_a_request_has_no_more_time_for_the_next_ones_head() {
    let app = TestApp::start(&[]).await;
    let to = address(&app.origin);
    let kept = std::str::from_utf8(LIVEZ)
        .expect("text")
        .replace("close", "keep-alive");
    let mut socket = TcpStream::connect(to).await.expect("a connection");
    socket.write_all(kept.as_bytes()).await.expect("a request");
    let mut answer = [0; 1024];
    let read = socket.read(&mut answer).await.expect("an answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
    socket.write_all(b"GET /").await.expect("a byte");
    let lasted = trickle(socket, Duration::from_millis(500)).await;
    assert!(lasted > Duration::from_secs(2) && lasted < GONE, "{lasted:?}");
    assert!(metric(to, "mege_http_connections_cut_total", "slow_head").await > 0.0);
    app.stop().await;
}

#[actix_rt::test]
async fn a_body_that_trickles_to_a_route_that_reads_none_ends_too() {
    let app = TestApp::start(&[("MEGE__HTTP__TIMEOUT_MS", "2000".to_owned())]).await;
    let to = address(&app.origin);
    let heads = [
        "POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n",
        "GET /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n",
        "POST /pbx-api/cdr HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
    ];
    let ends = heads.map(|head| async move {
        let mut socket = TcpStream::connect(to).await.expect("a connection");
        socket.write_all(head.as_bytes()).await.expect("a head");
        trickle(socket, Duration::from_millis(500)).await
    });
    for lasted in join_all(ends).await {
        assert!(lasted < GONE, "{lasted:?}");
    }
    app.stop().await;
}
