//! How long to wait before the next try.

use std::time::Duration;

/// Exponential back-off with equal jitter: the n-th delay lies between half and the whole of `min · 2ⁿ`, at most
/// `max`, so that many clients of one restarted server do not come back in step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// A back-off from `min` to `max`.
    ///
    /// # Panics
    /// When `min` is zero or above `max`; in a `const`, that is an error of compilation.
    pub const fn new(min: Duration, max: Duration) -> Self {
        assert!(!min.is_zero() && min.as_nanos() <= max.as_nanos());
        Self { min, max }
    }

    /// The delay before try number `attempt`, counted from 0.
    pub fn delay(&self, attempt: u32) -> Duration {
        self.longest(attempt).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// The delay without jitter.
    fn longest(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.min.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_up_to_the_maximum() {
        let backoff = Backoff::new(SECOND, 10 * SECOND);
        let delays: Vec<u64> = (0..6).map(|n| backoff.longest(n).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.longest(u32::MAX), 10 * SECOND);
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let backoff = Backoff::new(SECOND, 8 * SECOND);
        for _ in 0..1_000 {
            let delay = backoff.delay(2);
            assert!((2 * SECOND..=4 * SECOND).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn refuses_bounds_that_make_no_sense() {
        for (min, max) in [(Duration::ZERO, SECOND), (2 * SECOND, SECOND)] {
            assert!(std::panic::catch_unwind(|| Backoff::new(min, max)).is_err());
        }
    }
}
