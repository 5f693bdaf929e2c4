//! Whether the gateway itself may be sent requests.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

/// Where the process is in its life; it only goes on to later phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not everything is there yet.
    Starting,
    /// Up.
    Started,
    /// On the way out: what comes is still taken and answered, and nothing more should come.
    Draining,
    /// No connection is accepted any more; open requests end.
    Stopping,
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

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const DRAINING: u8 = 2;
const STOPPING: u8 = 3;

impl Lifecycle {
    /// Everything is there.
    pub fn started(&self) {
        self.0.phase.fetch_max(STARTED, Ordering::AcqRel);
    }

    /// The process is on its way out.
    pub fn draining(&self) {
        self.0.draining_since.get_or_init(Instant::now);
        self.0.phase.fetch_max(DRAINING, Ordering::AcqRel);
    }

    /// Nothing is accepted any more.
    pub fn stopping(&self) {
        self.draining();
        self.0.phase.fetch_max(STOPPING, Ordering::AcqRel);
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            STARTING => Phase::Starting,
            STARTED => Phase::Started,
            DRAINING => Phase::Draining,
            _ => Phase::Stopping,
        }
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
