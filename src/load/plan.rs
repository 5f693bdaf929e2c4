//! What is to be sent, and when.

use std::num::NonZeroU32;
use std::time::Duration;

const NANOS: u64 = 1_000_000_000;

/// A constant rate for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Requests that become due in a second, 1 to 10,000.
    pub rate_per_s: NonZeroU32,
    /// For how many seconds, 1 to 3,600.
    pub duration_s: u32,
    /// Requests that may be under way at once; one that becomes due beyond that is not sent.
    pub max_in_flight: usize,
    /// How many of a hundred requests are for the busy party, 0 to 100.
    pub busy_percent: u8,
}

/// Whom a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A number that answers.
    Answers,
    /// A number that is busy.
    Busy,
}

impl Plan {
    /// How many requests become due.
    pub fn total(&self) -> u64 {
        u64::from(self.rate_per_s.get()) * u64::from(self.duration_s)
    }

    /// For how long requests become due.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_s.into())
    }

    /// When request `n`, counted from 0, is due after the start.
    pub fn due(&self, n: u64) -> Duration {
        let rate = u64::from(self.rate_per_s.get());
        Duration::from_secs(n / rate) + Duration::from_nanos(n % rate * NANOS / rate)
    }

    /// Whom request `n` is for: the busy ones are spread evenly.
    pub fn party(&self, n: u64) -> Party {
        let busy_before = |n: u64| n * u64::from(self.busy_percent) / 100;
        if busy_before(n + 1) > busy_before(n) {
            Party::Busy
        } else {
            Party::Answers
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::load) fn plan(rate: u32, seconds: u32, max_in_flight: usize) -> Plan {
        Plan {
            rate_per_s: NonZeroU32::new(rate).unwrap(),
            duration_s: seconds,
            max_in_flight,
            busy_percent: 0,
        }
    }

    #[test]
    fn the_last_request_is_due_before_the_end_at_any_rate() {
        for (rate, seconds) in [(1, 1), (3, 10), (7, 3_600), (10_000, 3_600)] {
            let plan = plan(rate, seconds, 1);
            assert_eq!(plan.due(0), Duration::ZERO);
            assert_eq!(plan.due(u64::from(rate)), Duration::from_secs(1));
            assert!(plan.due(plan.total() - 1) < plan.duration());
            assert_eq!(plan.due(plan.total()), plan.duration());
        }
    }

    #[test]
    fn the_busy_share_holds_in_every_hundred_and_is_spread() {
        for busy_percent in [0, 1, 20, 33, 50, 99, 100] {
            let plan = Plan {
                busy_percent,
                ..plan(10, 100, 1)
            };
            let busy = |from, to| (from..to).filter(|&n| plan.party(n) == Party::Busy).count();
            assert_eq!(busy(0, 100), usize::from(busy_percent));
            assert_eq!(busy(300, 400), usize::from(busy_percent));
            assert!(busy(0, 50).abs_diff(busy(50, 100)) <= 1);
        }
    }
}
