//! A network that fails: a TCP proxy on loopback, to be put in front of a peer.
//!
//! ```ignore
//! let proxy = FaultProxy::start(simulator.ari_address()); // the gateway is led to proxy.address()
//! proxy.set(Fault::BlackHole);
//! proxy.set_sparing(EVENTS, Fault::Down); // requests are refused, the event socket stays up
//! proxy.clear();
//! ```
//!
//! A fault replaces the one before. When [`FaultProxy::set`] returns, what it closes is closed, and whatever is read
//! from then on is under it; what was read before may still arrive. The proxy connects to its peer when its client has
//! sent something. It runs on a thread of its own, so it works beside any runtime.

mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task;

use self::relay::{Connection, relay};

/// What ARI's event sockets begin with, for [`FaultProxy::set_sparing`].
pub(crate) const EVENTS: &str = "GET /ari/events";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Each way takes this much longer.
    Latency(Duration),
    /// Nobody listens: new connections are refused, present ones are closed.
    Down,
    /// What either side sends is swallowed, its end too; new connections are taken. When this is over, the connections
    /// that lost something to it are closed.
    BlackHole,
    /// Connections are reset: present ones at once, new ones when their client has sent something, which nobody gets.
    Reset,
    /// What the client sends is forwarded; what the peer answers is not, and the connection is reset.
    ResetAfterRequest,
}

/// What went through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    /// Connections that were accepted.
    pub(crate) accepted: u64,
    /// Connections that are open.
    pub(crate) open: u64,
    /// Connections that were reset.
    pub(crate) reset: u64,
    /// Bytes forwarded to the peer.
    pub(crate) sent: u64,
    /// Bytes forwarded from the peer.
    pub(crate) received: u64,
}

/// A fault, and what the connections that it spares begin with.
#[derive(Debug, Clone, Copy, Default)]
struct Rule {
    fault: Option<Fault>,
    spared: Option<&'static str>,
}

/// An order, and where to say that it is obeyed.
type Order = (Rule, std::sync::mpsc::SyncSender<()>);

#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<Traffic>>);

impl Counts {
    fn update(&self, change: impl FnOnce(&mut Traffic)) -> Traffic {
        let mut traffic = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut traffic);
        *traffic
    }
}

/// A proxy. Dropping it closes everything.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    counts: Counts,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// A proxy in front of `peer`, on a free port, without a fault.
    pub(crate) fn start(peer: SocketAddr) -> FaultProxy {
        let (orders, received) = mpsc::unbounded_channel();
        let (tell, started) = std::sync::mpsc::sync_channel(1);
        let counts = Counts::default();
        let counted = counts.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                // Bound and never listening: it refuses, and nobody else gets the port while nothing listens there.
                let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
                let address = port.local_addr().expect("an address");
                let listener = listen(address);
                tell.send(address).expect("somebody who waits");
                run(peer, listener, received, counted).await;
            });
        });
        FaultProxy {
            address: started.recv().expect("a proxy on a free port"),
            counts,
            orders: Some(orders),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets all connections fail, present and future ones.
    pub(crate) fn set(&self, fault: Fault) {
        self.order(Some(fault), None);
    }

    /// Lets all connections fail but those whose client's first bytes begin with `spared`, such as [`EVENTS`]. Where
    /// nobody listens, no new one gets so far.
    pub(crate) fn set_sparing(&self, spared: &'static str, fault: Fault) {
        self.order(Some(fault), Some(spared));
    }

    /// Lets everything go right again.
    pub(crate) fn clear(&self) {
        self.order(None, None);
    }

    /// What went through so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.counts.update(|_| {})
    }

    fn order(&self, fault: Option<Fault>, spared: Option<&'static str>) {
        let (done, obeyed) = std::sync::mpsc::sync_channel(1);
        let orders = self.orders.as_ref().expect("a proxy that runs");
        orders
            .send((Rule { fault, spared }, done))
            .expect("a proxy that runs");
        obeyed.recv().expect("a proxy that runs");
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes connections and obeys orders, until there will be no more of these.
async fn run(
    peer: SocketAddr,
    listener: TcpListener,
    mut orders: mpsc::UnboundedReceiver<Order>,
    counts: Counts,
) {
    let address = listener.local_addr().expect("an address");
    let mut listener = Some(listener);
    let (rules, rule) = watch::channel(Rule::default());
    let mut connections: Vec<(Arc<Connection>, task::JoinHandle<()>)> = Vec::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((rule, done)) = order else { return };
                listener = match (rule.fault, listener) {
                    (Some(Fault::Down), _) => None,
                    (_, listener) => listener.or_else(|| Some(listen(address))),
                };
                rules.send_replace(rule);
                for (_, relay) in connections.extract_if(.., |(it, _)| it.end_under(rule).is_some()) {
                    relay.await.expect("a relay without a panic");
                }
                done.send(()).expect("somebody who waits");
            }
            client = accept(listener.as_ref()) => {
                connections.retain(|(_, relay)| !relay.is_finished());
                let connection = Arc::new(Connection::new(peer, rule.clone(), counts.clone()));
                let relay = tokio::spawn(relay(client, Arc::clone(&connection)));
                connections.push((connection, relay));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.expect("a connection").0,
        None => std::future::pending().await,
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    bind(address).listen(1024).expect("a listener")
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a port that is shared");
    socket.bind(address).expect("a port");
    socket
}
