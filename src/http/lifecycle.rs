//! Whether the gateway itself may be sent requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not everything is there yet.
    Starting,
    /// Up.
    Started,
    /// On the way out: what is open is finished, nothing new should come.
    Draining,
}

/// The process's phase, shared between those who change it and those who report it.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<AtomicU8>);

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const DRAINING: u8 = 2;

impl Lifecycle {
    /// Everything is there.
    pub fn started(&self) {
        // Never back from draining.
        let _ = self
            .0
            .compare_exchange(STARTING, STARTED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The process is on its way out.
    pub fn draining(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            STARTING => Phase::Starting,
            STARTED => Phase::Started,
            _ => Phase::Draining,
        }
    }
}
