//! The simulated 3CX's clock.

use std::sync::Mutex;

use jiff::Timestamp;

use crate::simulator::lock::locked;

/// The system's time until it is set; from then on it stands still.
#[derive(Debug, Default)]
pub(super) struct Clock {
    stopped_at: Mutex<Option<Timestamp>>,
}

impl Clock {
    /// The time, to the microsecond, as a `timestamptz` has it.
    pub(super) fn now(&self) -> Timestamp {
        let now = locked(&self.stopped_at).unwrap_or_else(Timestamp::now);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    pub(super) fn set(&self, now: Timestamp) {
        *locked(&self.stopped_at) = Some(now);
    }
}
