//! One connection through the proxy.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Counts, Fault, Rule};

/// How much is read at once, and how many such pieces wait for their time each way.
const PIECE: usize = 16 * 1024;
const WAITING: usize = 64;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToPeer,
    FromPeer,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    peer: SocketAddr,
    rule: watch::Receiver<Rule>,
    counts: Counts,
    /// What the client sent first.
    first: OnceLock<BytesMut>,
    /// Whether a black hole swallowed some of it.
    lost: AtomicBool,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, rule: watch::Receiver<Rule>, counts: Counts) -> Self {
        Self {
            peer,
            rule,
            counts,
            first: OnceLock::new(),
            lost: AtomicBool::new(false),
        }
    }

    /// The fault that a rule has for this connection.
    fn fault(&self, rule: Rule) -> Option<Fault> {
        let begins = |spared: &str| {
            self.first
                .get()
                .is_some_and(|it| it.starts_with(spared.as_bytes()))
        };
        rule.fault.filter(|_| !rule.spared.is_some_and(begins))
    }

    fn present_fault(&self) -> Option<Fault> {
        self.fault(*self.rule.borrow())
    }

    /// How the connection ends as soon as this is the rule; None: it goes on.
    pub(super) fn end_under(&self, rule: Rule) -> Option<End> {
        let lost = self.lost.load(Ordering::Relaxed);
        match self.fault(rule) {
            Some(Fault::Down) => Some(End::Closed),
            Some(Fault::Reset) => self.first.get().map(|_| End::Reset),
            Some(Fault::BlackHole) => None,
            Some(Fault::Latency(_) | Fault::ResetAfterRequest) | None => lost.then_some(End::Closed),
        }
    }

    /// Waits for a rule that ends the connection.
    async fn ended(&self) -> End {
        let mut rule = self.rule.clone();
        loop {
            let present = *rule.borrow_and_update();
            if let Some(end) = self.end_under(present) {
                return end;
            }
            if rule.changed().await.is_err() {
                return End::Closed;
            }
        }
    }

    /// Swallows for as long as the fault is there.
    async fn lose(&self, from: &mut ReadHalf<'_>) -> End {
        self.lost.store(true, Ordering::Relaxed);
        let mut swallowed = vec![0; PIECE];
        while !matches!(from.read(&mut swallowed).await, Ok(0) | Err(_)) {}
        pending().await
    }
}

/// Serves a connection until its end.
pub(super) async fn relay(mut client: TcpStream, connection: Arc<Connection>) {
    connection.counts.update(|traffic| {
        traffic.accepted += 1;
        traffic.open += 1;
    });
    let end = tokio::select! {
        biased;
        end = connection.ended() => end,
        end = forward(&mut client, &connection) => end,
    };
    if end == End::Reset {
        let lingering = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        lingering.expect("a socket that can be reset");
    }
    drop(client);
    connection.counts.update(|traffic| {
        traffic.open -= 1;
        traffic.reset += u64::from(end == End::Reset);
    });
}

async fn forward(client: &mut TcpStream, connection: &Connection) -> End {
    let mut first = BytesMut::with_capacity(PIECE);
    if matches!(client.read_buf(&mut first).await, Ok(0) | Err(_)) {
        return End::Closed;
    }
    connection.first.set(first.clone()).expect("set once");
    let (mut from_client, to_client) = client.split();
    match connection.present_fault() {
        Some(Fault::Reset) => return End::Reset,
        Some(Fault::BlackHole) => return connection.lose(&mut from_client).await,
        Some(Fault::Latency(_) | Fault::Down | Fault::ResetAfterRequest) | None => {}
    }
    let Ok(mut peer) = TcpStream::connect(connection.peer).await else {
        return End::Closed;
    };
    let _ = peer.set_nodelay(true);
    let (from_peer, to_peer) = peer.split();
    let _ = to_client.as_ref().set_nodelay(true);
    let moved = tokio::try_join!(
        pump(connection, Way::ToPeer, first, from_client, to_peer),
        pump(connection, Way::FromPeer, BytesMut::new(), from_peer, to_client),
    );
    moved.err().unwrap_or(End::Closed)
}

/// Moves one way's bytes, `first` those that were read already, and then its end.
async fn pump(
    connection: &Connection,
    way: Way,
    mut bytes: BytesMut,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
) -> Result<(), End> {
    let (queue, mut waiting) = mpsc::channel::<(Option<Instant>, BytesMut)>(WAITING);
    let read = async move {
        loop {
            bytes.reserve(PIECE);
            let ended = bytes.is_empty() && from.read_buf(&mut bytes).await.map_err(|_| End::Closed)? == 0;
            let due = match connection.present_fault() {
                Some(Fault::BlackHole) => return Err(connection.lose(&mut from).await),
                Some(Fault::ResetAfterRequest) if way == Way::FromPeer => return Err(End::Reset),
                Some(Fault::Latency(latency)) => Some(Instant::now() + latency),
                Some(Fault::Down | Fault::Reset | Fault::ResetAfterRequest) | None => None,
            };
            if ended {
                return Ok(());
            }
            if queue.send((due, bytes.split())).await.is_err() {
                return Err(End::Closed);
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = waiting.recv().await {
            if let Some(due) = due {
                sleep_until(due).await;
            }
            to.write_all(&bytes).await.map_err(|_| End::Closed)?;
            let count = bytes.len() as u64;
            connection.counts.update(|traffic| match way {
                Way::ToPeer => traffic.sent += count,
                Way::FromPeer => traffic.received += count,
            });
        }
        to.shutdown().await.map_err(|_| End::Closed)
    };
    tokio::try_join!(read, write).map(|_| ())
}
