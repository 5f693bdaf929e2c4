//! A simulated PBX: an Asterisk's ARI, a 3CX's PAC and the rows behind it, on loopback sockets over the real
//! protocols.
//!
//! It is for trying the gateway with nothing installed, for an integrator's own tests, and for ours. It behaves as
//! the real ones do, also where that is awkward, and it can be made to fail.
//!
//! # Faults
//!
//! Planned ones strike requests of one kind, the next few or all until they are cleared; those of other kinds go well:
//!
//! ```no_run
//! # use mege_gateway::simulator::{AriFault, AriOperation, HowOften, PacFault, PacOperation, Simulator};
//! # fn fail(simulator: &Simulator) {
//! let (asterisk, pbx) = (simulator.asterisk(), simulator.pbx());
//! asterisk.fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
//! asterisk.fail(AriOperation::Other, AriFault::Oversized(100_000_000), HowOften::Next(1));
//! pbx.fail(PacOperation::ExecuteSql, PacFault::Message("nonsense".into()), HowOften::Next(2));
//! asterisk.clear_faults();
//! # }
//! ```
//!
//! Others happen when they are asked for: [`SimulatedAsterisk::stop_listening`], [`SimulatedAsterisk::limit_sessions`],
//! [`SimulatedPbx::go_away`], and of the event sockets [`SimulatedAsterisk::cut_event_sockets`],
//! [`SimulatedAsterisk::freeze_event_sockets`], [`SimulatedAsterisk::send_raw`] (no JSON, an unknown event, ten megabytes),
//! [`SimulatedAsterisk::send_binary`] and [`SimulatedAsterisk::storm`]:
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn storm(simulator: &mege_gateway::simulator::Simulator) {
//! let report = simulator.asterisk().storm(16_000, Duration::from_secs(60)).await.unwrap();
//! assert_eq!(report.published, report.planned, "this machine is fast enough");
//! assert!(report.writes.longest_wait < Duration::from_millis(100), "{report:?}");
//! assert!(simulator.asterisk().sessions().refused == 0);
//! # }
//! ```

mod appearing;
mod ari;
mod background;
mod firm;
mod incidents;
mod lock;
mod morning;
mod oversized;
mod pac;
mod party;
mod plan;
mod recorder;
mod rows;
mod settings;
#[cfg(test)]
mod tests;
mod voice;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use ari::{
    AriFault, AriOperation, ReceivedOriginate, Sessions, SimulatedAsterisk, SocketWrites, StormReport,
};
pub use incidents::{Incident, IncidentPace};
pub use pac::{PacFault, PacOperation, RequestCount, SimulatedPbx};
pub use party::PartyBehaviour;
pub use plan::HowOften;
pub use rows::{Appearance, Row, simulated_days};
pub use settings::{Pace, RowTiming, SimulatorSettings};

use party::Script;

/// A simulated Asterisk and 3CX. Dropping it stops both and waits until their sockets are closed.
///
/// It runs on threads of its own: it works on any runtime, and a paused clock does not stop it.
#[derive(Debug)]
pub struct Simulator {
    parts: Parts,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Parts {
    asterisk: SimulatedAsterisk,
    pbx: SimulatedPbx,
}

impl Simulator {
    /// Starts it; it answers when this returns.
    ///
    /// # Errors
    /// When an address cannot be had, or a thread.
    ///
    /// # Cancel safety
    /// When this is dropped, what was started stops again.
    pub async fn start(settings: SimulatorSettings) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let abandoned = stop.clone().drop_guard();
        let (started, starting) = oneshot::channel();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(move || run(settings, started, &stopped))?;
        let parts = starting
            .await
            .map_err(|_| io::Error::other("the simulator's thread ended"))??;
        abandoned.disarm();
        Ok(Self {
            parts,
            stop,
            thread: Some(thread),
        })
    }

    /// Where ARI listens.
    pub fn ari_address(&self) -> SocketAddr {
        self.parts.asterisk.address()
    }

    /// Where PAC listens.
    pub fn pac_address(&self) -> SocketAddr {
        self.parts.pbx.address()
    }

    /// The Asterisk.
    pub fn asterisk(&self) -> &SimulatedAsterisk {
        &self.parts.asterisk
    }

    /// The 3CX.
    pub fn pbx(&self) -> &SimulatedPbx {
        &self.parts.pbx
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the simulator's thread panicked");
        }
    }
}

/// The simulator's thread.
fn run(settings: SimulatorSettings, started: oneshot::Sender<io::Result<Parts>>, stop: &CancellationToken) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let parts = start_parts(settings);
        let asterisk = parts.as_ref().ok().map(|parts| parts.asterisk.clone());
        // Nobody to hand it to: the start was abandoned.
        if started.send(parts).is_ok() {
            stop.cancelled().await;
        }
        // Its workers are threads of their own. All else ends with this runtime.
        if let Some(asterisk) = asterisk {
            asterisk.stop_listening().await;
        }
    });
}

fn start_parts(settings: SimulatorSettings) -> io::Result<Parts> {
    let settings = Arc::new(settings);
    let script = Arc::new(Script::default());
    let runtime = Handle::current();
    let core = pac::Core::new(Arc::clone(&settings), Arc::clone(&script), runtime.clone())
        .map_err(io::Error::other)?;
    let server = pac::Server::start(Arc::clone(&core), settings.pac)?;
    runtime.spawn(calls(Arc::clone(&core)));
    let asterisk = SimulatedAsterisk::start(settings, script, Arc::clone(&core), runtime)?;
    let pbx = SimulatedPbx::new(core, server);
    Ok(Parts { asterisk, pbx })
}

/// The calls that nobody asked for.
async fn calls(core: Arc<pac::Core>) {
    let (morning, background) = (core.settings.morning, core.settings.background_calls);
    if let Some(takes) = morning {
        morning::morning(Arc::clone(&core), takes).await;
    }
    if let Some(every) = background {
        background::calls(core, every).await;
    }
}

/// Takes an address, and says which one could not be had.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}
