//! Whether the gateway itself may be sent requests.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::words::words;

words! {
    /// Where the process is in its life; it only goes on to later phases.
    Phase {
        /// Not everything is there yet.
        Starting = "starting",
        /// Up.
        Started = "started",
        /// On the way out: what comes is still taken and answered, and nothing more should come.
        Draining = "draining",
        /// No connection is accepted any more; open requests end.
        Stopping = "stopping",
    }
}

/// The process's phase and its open requests, shared between those who change them and those who report them.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    draining_since: OnceLock<Instant>,
    open_requests: AtomicUsize,
}

impl Lifecycle {
    /// Everything is there.
    pub fn started(&self) {
        self.0.phase.fetch_max(Phase::Started as u8, Ordering::AcqRel);
    }

    /// The process is on its way out.
    pub fn draining(&self) {
        self.0.draining_since.get_or_init(Instant::now);
        self.0.phase.fetch_max(Phase::Draining as u8, Ordering::AcqRel);
    }

    /// Nothing is accepted any more.
    pub fn stopping(&self) {
        self.draining();
        self.0.phase.fetch_max(Phase::Stopping as u8, Ordering::AcqRel);
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        let phase = usize::from(self.0.phase.load(Ordering::Acquire));
        Phase::ALL[phase]
    }

    /// How long the process has been on its way out; nothing while it is not.
    pub fn drained_for(&self) -> Duration {
        let since = self.0.draining_since.get();
        since.map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Requests whose answers have not left yet.
    pub fn open_requests(&self) -> usize {
        self.0.open_requests.load(Ordering::Relaxed)
    }

    /// Counts a request as open, as long as the result is held.
    pub(super) fn open_request(&self) -> OpenRequest {
        self.0.open_requests.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }
}

/// A request whose answer has not left yet.
#[derive(Debug)]
pub(super) struct OpenRequest(Lifecycle);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.open_requests.fetch_sub(1, Ordering::Relaxed);
    }
}
