//! Which refusals have lines of their own in the log: whoever floods the gateway does not flood the log too.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Refusals with lines of their own at once; then one a second.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(100).unwrap();
const PER_S: NonZeroU32 = NonZeroU32::MIN;

/// Decides it, and counts the others.
#[derive(derive_more::Debug)]
#[debug("RefusalLog")]
pub(super) struct RefusalLog {
    lines: DefaultDirectRateLimiter,
    silent: AtomicU64,
}

/// Marks a request that is to leave no line.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Silent;

impl RefusalLog {
    pub(super) fn new() -> Self {
        Self {
            lines: RateLimiter::direct(Quota::per_second(PER_S).allow_burst(AT_ONCE)),
            silent: AtomicU64::new(0),
        }
    }

    /// The mark of a refusal without a line; none where it may have one, and then how many had none is said first.
    pub(super) fn mark(&self) -> Option<Silent> {
        if self.lines.check().is_err() {
            self.silent.fetch_add(1, Ordering::Relaxed);
            return Some(Silent);
        }
        let refused = self.silent.swap(0, Ordering::Relaxed);
        if refused > 0 {
            tracing::warn!(refused, "requests were refused that have no lines of their own");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_some_lines_and_a_count() {
        let log = RefusalLog::new();
        let lines = (0..10_000).filter(|_| log.mark().is_none()).count();
        // Some more, where seconds pass meanwhile.
        assert!((100..110).contains(&lines), "{lines}");
        assert!(log.silent.load(Ordering::Relaxed) > 0);
    }
}
