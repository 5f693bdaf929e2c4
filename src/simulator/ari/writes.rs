//! How the writing to event sockets goes.

use std::sync::Mutex;
use std::time::Duration;

use crate::simulator::lock::locked;

/// What was written to event sockets, and how long it waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketWrites {
    /// Frames that were written.
    pub written: u64,
    /// The longest that a write waited for its socket. Asterisk closes one that makes it wait for 100 ms.
    pub longest_wait: Duration,
    /// The most frames that waited for a socket at once. At 500, Asterisk has PJSIP ignore new calls.
    pub most_waiting: usize,
    /// Sockets that were closed because their client did not read.
    pub closed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<SocketWrites>);

impl Writes {
    /// All since the last time that this was asked.
    pub(super) fn take(&self) -> SocketWrites {
        std::mem::take(&mut locked(&self.0))
    }

    /// A frame was written that waited so long, with so many frames behind it.
    pub(super) fn wrote(&self, waited: Duration, behind: usize) {
        let mut writes = locked(&self.0);
        writes.written += 1;
        writes.longest_wait = writes.longest_wait.max(waited);
        writes.most_waiting = writes.most_waiting.max(behind + 1);
    }

    /// A socket was given up after its last write had waited so long.
    pub(super) fn closed(&self, waited: Duration) {
        let mut writes = locked(&self.0);
        writes.closed += 1;
        writes.longest_wait = writes.longest_wait.max(waited);
    }
}
