//! The simulated Asterisk: ARI's REST interface and its event socket.

mod application;
mod applications;
mod call;
mod channel;
mod event;
mod exchange;
mod faults;
mod operations;
mod originate;
mod parameters;
mod reply;
mod requests;
mod ring;
mod route;
mod server;
mod sessions;
mod socket;
mod state;
mod storm;
mod writes;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

pub use faults::{AriFault, AriOperation, ReceivedOriginate};
pub use sessions::Sessions;
pub use storm::StormReport;
pub use writes::SocketWrites;

use self::event::Event;
use self::exchange::Exchange;
use self::server::Server;
use self::socket::SocketOrder;
use super::lock::locked;
use super::party::{PartyBehaviour, Script};
use super::plan::HowOften;
use super::{SimulatorSettings, pac};

/// The simulated Asterisk, for tests: what it was asked, what its parties do, its faults.
#[derive(Clone)]
pub struct SimulatedAsterisk {
    exchange: Arc<Exchange>,
    server: Arc<Server>,
}

impl std::fmt::Debug for SimulatedAsterisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.server.address();
        f.debug_struct("SimulatedAsterisk")
            .field("address", &address)
            .finish()
    }
}

impl SimulatedAsterisk {
    pub(super) fn start(
        settings: Arc<SimulatorSettings>,
        script: Arc<Script>,
        pbx: Arc<pac::Core>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let address = settings.ari;
        let exchange = Arc::new(Exchange::new(settings, script, pbx, runtime));
        let server = Arc::new(Server::start(Arc::clone(&exchange), address)?);
        Ok(Self { exchange, server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The originates that were received, in order: the last 100,000.
    pub fn originates(&self) -> Vec<ReceivedOriginate> {
        self.exchange.journal.originates()
    }

    /// How often each request came, as `GET /channels/{id}`: method and path below `/ari`, without ids.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.exchange.journal.requests()
    }

    /// How many channels live.
    pub fn live_channels(&self) -> usize {
        self.exchange.state().channels.len()
    }

    /// Whether an application has a socket.
    pub fn is_connected(&self, application: &str) -> bool {
        let state = self.exchange.state();
        let application = state.applications.get(application);
        application.is_some_and(|application| application.socket.is_some())
    }

    /// Tells a party, extension or number, what to do from now on, also when PAC calls it, instead of the rule of its
    /// last digit.
    pub fn script(&self, party: &str, behaviour: PartyBehaviour) {
        self.exchange.script.set(party, behaviour);
    }

    /// Makes requests of one kind go wrong, instead of what was planned for that kind before.
    pub fn fail(&self, operation: AriOperation, fault: AriFault, often: HowOften) {
        self.exchange.journal.faults.set(operation, fault, often);
    }

    /// Lets everything go right again. What hangs already goes on hanging.
    pub fn clear_faults(&self) {
        self.exchange.journal.faults.clear();
    }

    /// Configures another trunk, as a reload of Asterisk's configuration does.
    pub fn add_trunk(&self, trunk: &str) {
        self.exchange.state().trunks.insert(trunk.to_owned());
    }

    /// How the event sockets that are gone ended, in order: by the code of the client's close frame, or without one.
    pub fn socket_ends(&self) -> Vec<Option<u16>> {
        locked(&self.exchange.socket_ends).iter().copied().collect()
    }

    /// Closes the listener and all connections; calls go on.
    ///
    /// # Cancel safety
    /// It stops all the same, a little later.
    pub async fn stop_listening(&self) {
        self.server.stop().await;
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// When the port was taken meanwhile.
    pub fn listen_again(&self) -> io::Result<()> {
        self.server.restart()
    }

    /// Breaks the connection of every event socket that is open.
    pub fn cut_event_sockets(&self) {
        self.order(SocketOrder::Cut);
    }

    /// Makes every event socket that is open a half-open one: nothing is read, answered or sent, nothing is closed.
    pub fn freeze_event_sockets(&self) {
        self.order(SocketOrder::Freeze);
    }

    /// Sends a text to every event socket that is open, whatever it is.
    pub fn send_raw(&self, text: impl Into<String>) {
        self.order(SocketOrder::Send(text.into()));
    }

    /// Sends a binary frame to every event socket that is open, which Asterisk never does.
    pub fn send_binary(&self, bytes: impl Into<Bytes>) {
        self.order(SocketOrder::SendBinary(bytes.into()));
    }

    /// Tells of so many events on a trunk, each about as large as Asterisk's. A socket for which more than 16,384 wait
    /// is closed.
    pub fn flood(&self, trunk: &str, events: usize) {
        for number in 0..events {
            let mut event = Event::new("ChannelUserevent").with("eventname", "flood").with(
                "userevent",
                serde_json::json!({ "number": number, "text": "x".repeat(400) }),
            );
            event.endpoints.insert(format!("PJSIP/{trunk}"));
            self.exchange.state().publish(&event);
        }
    }

    /// Tells of so many events in a second for so long, on the simulator's own threads and from now on; the report comes
    /// when all is written. They are about calls that come and go on the first of the trunks, eight events a call from
    /// `ChannelCreated` to `ChannelDestroyed`, each about as large as Asterisk's; requests do not see these calls. None:
    /// the simulator stopped.
    ///
    /// # Cancel safety
    /// When this is dropped, the storm ends.
    pub fn storm(
        &self,
        events_per_s: u32,
        lasts: Duration,
    ) -> impl Future<Output = Option<StormReport>> + use<> {
        let storm = storm::run(Arc::clone(&self.exchange), events_per_s, lasts);
        let task = AbortOnDropHandle::new(self.exchange.runtime.spawn(storm));
        async { task.await.ok() }
    }

    /// The connections to ARI.
    pub fn sessions(&self) -> Sessions {
        self.exchange.sessions.sessions()
    }

    /// Sets how many connections may be open at once; of more, each is closed as soon as it is there. Until this is
    /// called it is Asterisk's default, 100. Those that are open stay open.
    pub fn limit_sessions(&self, limit: usize) {
        self.exchange.sessions.set(limit);
    }

    /// How many bytes of oversized answers were sent, all in all: few where the client hung up early.
    pub fn oversized_bytes(&self) -> u64 {
        self.exchange.journal.oversized.load(Ordering::Relaxed)
    }

    fn order(&self, order: SocketOrder) {
        if self.exchange.sockets.send(order).is_err() {
            tracing::debug!("no event socket is open");
        }
    }
}
