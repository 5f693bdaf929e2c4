//! Why work is not let in.

use std::time::Duration;

/// Why work is not let in; nothing of it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Everything is taken and the queue is full, or the wait was in vain.
    Saturated {
        /// When there should be room.
        retry_after: Duration,
    },
    /// The circuit breaker is open.
    CircuitOpen {
        /// When the next probe may leave.
        retry_after: Duration,
    },
    /// The incarnation is over: whatever is in flight belongs to it.
    Closed,
}
