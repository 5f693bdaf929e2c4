//! How often a caller may ask.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

/// Callers that are counted at once, about. Whoever has more addresses than this is not held by a limit for each.
const CALLERS: usize = 100_000;

/// Requests between two looks for callers that have not asked for a while.
const REQUESTS_BETWEEN_LOOKS: u32 = 4_096;

/// A limit for each caller: so many requests a second, and as many at once.
#[derive(derive_more::Debug)]
#[debug("RateLimit({per_s})")]
pub(super) struct RateLimit<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>,
    clock: DefaultClock,
    per_s: NonZeroU32,
    requests: AtomicU32,
    full: AtomicBool,
}

/// A caller asks more often than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess {
    /// How many requests a second it may send.
    pub(super) per_s: u32,
    /// When the next one is let through.
    pub(super) wait: Duration,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    pub(super) fn new(per_s: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_s)),
            clock: DefaultClock::default(),
            per_s,
            requests: AtomicU32::new(0),
            full: AtomicBool::new(false),
        }
    }

    /// Counts a request.
    pub(super) fn check(&self, caller: &K) -> Result<(), Excess> {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(REQUESTS_BETWEEN_LOOKS) {
            // One that could ask as often as any other is as good as one that never asked.
            self.limiter.retain_recent();
            self.full.store(self.limiter.len() >= CALLERS, Ordering::Relaxed);
        }
        if self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.limiter.check_key(caller).map_err(|until| Excess {
            per_s: self.per_s.get(),
            wait: until.wait_time_from(self.clock.now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_s: u32) -> RateLimit<u32> {
        RateLimit::new(NonZeroU32::new(per_s).unwrap())
    }

    #[test]
    fn each_caller_has_its_own_limit() {
        let limit = limit(3);
        for caller in [1, 2] {
            assert!((0..3).all(|_| limit.check(&caller).is_ok()));
            let excess = limit.check(&caller).unwrap_err();
            assert_eq!(excess.per_s, 3);
            assert!(excess.wait <= Duration::from_millis(334), "{excess:?}");
        }
    }

    #[test]
    fn memory_is_bounded_however_many_ask() {
        let limit = limit(1);
        for caller in 0..150_000 {
            assert!(limit.check(&caller).is_ok());
        }
        let most = CALLERS + REQUESTS_BETWEEN_LOOKS as usize;
        assert!(limit.limiter.len() <= most, "{}", limit.limiter.len());
    }
}
