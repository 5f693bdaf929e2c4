//! 3CX's ids: four zero bytes, the moment as a Windows FILETIME, a counter that starts anew with the service.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use jiff::Timestamp;
use uuid::Uuid;

/// 1601-01-01 to 1970-01-01, in FILETIME's ticks of 100 ns.
const EPOCH_TICKS: i64 = 116_444_736_000_000_000;

/// An id of a moment.
pub(super) fn id_at(at: Timestamp, counter: u32) -> Uuid {
    let ticks = at.as_microsecond().saturating_mul(10).saturating_add(EPOCH_TICKS);
    let mut bytes = [0; 16];
    bytes[4..12].copy_from_slice(&ticks.to_be_bytes());
    bytes[12..].copy_from_slice(&counter.to_be_bytes());
    Uuid::from_bytes(bytes)
}

/// Mints ids, each kind with a counter of its own.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Mint {
    calls: AtomicU32,
    legs: AtomicU32,
    participants: AtomicU32,
    recordings: AtomicI64,
}

impl Mint {
    /// A `call_history_id` and the live call's number, which are of one counter.
    pub(in crate::simulator) fn call(&self, at: Timestamp) -> (Uuid, u32) {
        let number = next(&self.calls);
        (id_at(at, number), number)
    }

    /// A `cdr_id`.
    pub(super) fn leg(&self, at: Timestamp) -> Uuid {
        id_at(at, next(&self.legs))
    }

    /// A participant's id.
    pub(super) fn participant(&self, at: Timestamp) -> Uuid {
        id_at(at, next(&self.participants))
    }

    /// An `id_recording`.
    pub(super) fn recording(&self) -> i64 {
        self.recordings.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn next(counter: &AtomicU32) -> u32 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_the_moment_it_was_minted() {
        let at: Timestamp = "2025-12-08T21:32:26.706326Z".parse().unwrap();
        // The last 100 ns digit of a real id is beyond a timestamptz.
        assert_eq!(
            id_at(at, 3088).to_string(),
            "00000000-01dc-688a-2607-57dc00000c10"
        );
    }

    #[test]
    fn ids_of_one_kind_ascend_with_their_start() {
        let mint = Mint::default();
        let at: Timestamp = "2025-12-08T21:32:26Z".parse().unwrap();
        let first = mint.leg(at);
        let second = mint.leg(at);
        let earlier = mint.leg(at - jiff::SignedDuration::from_millis(1));
        assert!(earlier < first && first < second);
    }
}
