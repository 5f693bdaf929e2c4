//! The network that fails, before others stand on it.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::calls::{assert_refused, call_id, detail};
use crate::support::eventually;
use crate::support::fault_proxy::{EVENTS, Fault, FaultProxy};

/// How long silence is looked at.
const SILENCE: Duration = Duration::from_millis(100);

/// A peer that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    actix_rt::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            actix_rt::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn connect(proxy: &FaultProxy) -> Result<TcpStream> {
    TcpStream::connect(proxy.address()).await
}

/// Sends a text and reads as much back.
async fn ask(stream: &mut TcpStream, text: &str) -> Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    timeout(LIMIT, stream.read_exact(&mut answer))
        .await
        .expect("an answer or an end")?;
    Ok(String::from_utf8(answer).expect("the text"))
}

/// A connection that has been used.
async fn used(proxy: &FaultProxy, text: &str) -> TcpStream {
    let mut stream = connect(proxy).await.expect("a connection");
    assert_eq!(ask(&mut stream, text).await.expect("an echo"), text);
    stream
}

async fn kind(result: impl Future<Output = Result<impl std::fmt::Debug>>) -> ErrorKind {
    result.await.expect_err("a failure").kind()
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read(&mut [0])).await.is_err()
}

/// Whether the other side has closed, in whatever way.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = timeout(LIMIT, stream.read(&mut [0])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[actix_rt::test]
async fn without_a_fault_everything_goes_through_both_ends_too() {
    let proxy = FaultProxy::start(echo().await);
    let mut stream = connect(&proxy).await.expect("a connection");
    let much = "x".repeat(3_000_000);
    let (mut from, mut to) = stream.split();
    let send = async {
        to.write_all(much.as_bytes()).await.expect("all sent");
        to.shutdown().await.expect("an end sent");
    };
    let mut answer = String::new();
    let (_, read) = tokio::join!(send, from.read_to_string(&mut answer));
    assert!(read.is_ok() && answer == much);
    eventually("its end", LIMIT, async || {
        (proxy.traffic().open == 0).then_some(())
    })
    .await;
    let traffic = proxy.traffic();
    assert_eq!((traffic.accepted, traffic.reset), (1, 0));
    assert_eq!((traffic.sent, traffic.received), (3_000_000, 3_000_000));
}

#[actix_rt::test]
async fn latency_is_added_each_way_and_taken_away() {
    const LATENCY: Duration = Duration::from_millis(400);
    let proxy = FaultProxy::start(echo().await);
    let mut stream = used(&proxy, "a").await;
    proxy.set(Fault::Latency(LATENCY));
    let begun = Instant::now();
    ask(&mut stream, "b").await.expect("an echo");
    assert!(begun.elapsed() >= 2 * LATENCY);
    // Longer than the test has.
    proxy.set(Fault::Latency(Duration::from_secs(3_600)));
    proxy.clear();
    ask(&mut stream, "c").await.expect("an echo");
}

#[actix_rt::test]
async fn down_closes_and_refuses() {
    let proxy = FaultProxy::start(echo().await);
    let mut stream = used(&proxy, "a").await;
    proxy.set(Fault::Down);
    assert_eq!(proxy.traffic().open, 0);
    assert!(is_closed(&mut stream).await);
    assert_eq!(kind(connect(&proxy)).await, ErrorKind::ConnectionRefused);
    proxy.clear();
    used(&proxy, "c").await;
}

#[actix_rt::test]
async fn a_black_hole_takes_everything_and_what_lost_something_ends_with_it() {
    let proxy = FaultProxy::start(echo().await);
    let (mut idle, mut busy) = (used(&proxy, "a").await, used(&proxy, "b").await);
    let before = proxy.traffic();
    proxy.set(Fault::BlackHole);
    let mut new = connect(&proxy).await.expect("a connection");
    for stream in [&mut busy, &mut new] {
        stream.write_all(b"lost").await.expect("a black hole that reads");
        assert!(is_silent(stream).await);
    }
    assert_eq!(proxy.traffic().sent, before.sent);
    proxy.clear();
    assert_eq!(proxy.traffic().open, 1);
    assert!(is_closed(&mut busy).await && is_closed(&mut new).await);
    ask(&mut idle, "c").await.expect("an echo");
}

#[actix_rt::test]
async fn connections_can_be_reset_at_once_or_when_the_peer_answers() {
    let proxy = FaultProxy::start(echo().await);
    let mut stream = used(&proxy, "a").await;
    proxy.set(Fault::Reset);
    assert_eq!(kind(stream.read(&mut [0])).await, ErrorKind::ConnectionReset);
    let mut new = connect(&proxy).await.expect("a connection");
    assert_eq!(kind(ask(&mut new, "b")).await, ErrorKind::ConnectionReset);
    assert_eq!(proxy.traffic().sent, 1, "nobody got it");

    proxy.set(Fault::ResetAfterRequest);
    let mut new = connect(&proxy).await.expect("a connection");
    assert_eq!(kind(ask(&mut new, "cd")).await, ErrorKind::ConnectionReset);
    let traffic = proxy.traffic();
    assert_eq!((traffic.sent, traffic.received), (3, 1), "the peer got it");
    proxy.clear();
    used(&proxy, "e").await;
}

#[actix_rt::test]
async fn connections_can_be_spared_by_what_they_begin_with() {
    let proxy = FaultProxy::start(echo().await);
    let mut spared = used(&proxy, EVENTS).await;
    for fault in [
        Fault::Reset,
        Fault::BlackHole,
        Fault::ResetAfterRequest,
        Fault::Down,
    ] {
        proxy.clear();
        let mut other = used(&proxy, "GET /ari/channels").await;
        proxy.set_sparing(EVENTS, fault);
        ask(&mut spared, "a").await.expect("an echo");
        let _ = other.write_all(b"b").await;
        if fault == Fault::BlackHole {
            assert!(is_silent(&mut other).await);
        } else {
            assert!(is_closed(&mut other).await, "{fault:?}");
        }
    }
    proxy.set_sparing(EVENTS, Fault::BlackHole);
    used(&proxy, EVENTS).await;
}

#[actix_rt::test]
async fn a_gateway_loses_its_requests_and_keeps_its_event_socket() {
    let simulator = simulator().await;
    let proxy = FaultProxy::start(simulator.ari_address());
    let mut variables = simulated(&simulator);
    variables.push(("ASTERISK_ARI_PORT", proxy.address().port().to_string()));
    let app = TestApp::start(&variables).await;
    app.connected().await;

    proxy.set_sparing(EVENTS, Fault::Down);
    let refused = app.make_call(102, 79_000_000_001).await;
    assert_refused(&refused, 503, "request_not_sent", "not_placed", true);
    assert!(simulator.asterisk().originates().is_empty());
    proxy.set_sparing(EVENTS, Fault::ResetAfterRequest);
    let lost = app.make_call(102, 79_000_000_002).await;
    assert_refused(&lost, 502, "originate_outcome_unknown", "unknown", false);
    assert_eq!(simulator.asterisk().originates().len(), 1);
    proxy.clear();
    call_id(&app.make_call(102, 79_000_000_003).await);
    assert_eq!(detail(&app)["connects"], 1);
    let most = simulator.asterisk().sessions().most;
    assert!(most > 1, "the socket and a request: {most}");
}
