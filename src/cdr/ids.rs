//! A leg's id begins with the moment it was made: a Windows FILETIME, 100 ns since 1601.
//!
//! ```text
//! 00000000-01dc-688a-2607-57e500000c10
//! zero     FILETIME           counter
//! ```

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// 100 ns steps from 1601 to 1970.
const TICKS_TO_1970: i128 = 116_444_736_000_000_000;

/// The smallest id of a leg that starts at `at` or later.
pub(in crate::cdr) fn floor_id(at: Timestamp) -> Uuid {
    let ticks = at.as_nanosecond().div_euclid(100) + TICKS_TO_1970;
    let ticks = u64::try_from(ticks.max(0)).unwrap_or(u64::MAX);
    Uuid::from_u128(u128::from(ticks) << 32)
}

/// When the leg with this id started; None for an id without a moment in it.
pub(in crate::cdr) fn started_at(id: Uuid) -> Option<Timestamp> {
    if id.as_u128() >> 96 != 0 {
        return None;
    }
    let ticks = (id.as_u128() >> 32) & u128::from(u64::MAX);
    let nanos = (i128::try_from(ticks).ok()? - TICKS_TO_1970) * 100;
    Timestamp::from_nanosecond(nanos).ok()
}

/// The full hour that `at` is in.
pub(in crate::cdr) fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(3_600)).unwrap_or(Timestamp::MIN)
}

/// `at` less some hours, or the earliest moment there is.
pub(in crate::cdr) fn hours_before(at: Timestamp, hours: u64) -> Timestamp {
    let hours = i64::try_from(hours).unwrap_or(i64::MAX);
    seconds_before(at, hours.saturating_mul(3_600))
}

/// `at` less some seconds, or the earliest moment there is.
pub(in crate::cdr) fn seconds_before(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00000000-01dc-688a-2607-57e500000c10";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_tells_when_its_leg_started() {
        let id: Uuid = SAMPLE.parse().unwrap();
        let start = started_at(id).unwrap();
        assert_eq!(
            start.as_microsecond(),
            at("2025-12-08T21:32:26.706326Z").as_microsecond()
        );
        assert_eq!(started_at(Uuid::max()), None);
    }

    #[test]
    fn the_floor_lies_below_every_id_of_its_moment_and_above_every_earlier_one() {
        let id: Uuid = SAMPLE.parse().unwrap();
        let start = started_at(id).unwrap();
        let floor = floor_id(start);
        assert_eq!(floor.to_string(), "00000000-01dc-688a-2607-57e500000000");
        assert!(floor <= id);
        assert!(floor_id(at("2025-12-08T21:32:26.706327Z")) > id);
        assert_eq!(started_at(floor), Some(start));
    }

    #[test]
    fn moments_beyond_the_id_s_reach_are_its_ends() {
        assert_eq!(floor_id(Timestamp::MIN), Uuid::nil());
        assert!(floor_id(Timestamp::MAX) < Uuid::max());
    }

    #[test]
    fn hours_are_full_hours_before_1970_too() {
        assert_eq!(hour_of(at("2026-02-10T08:41:57.5Z")), at("2026-02-10T08:00:00Z"));
        assert_eq!(hour_of(at("1969-12-31T23:59:59Z")), at("1969-12-31T23:00:00Z"));
        assert_eq!(hours_before(at("2026-02-10T08:00:00Z"), u64::MAX), Timestamp::MIN);
        assert_eq!(
            hours_before(at("2026-02-10T08:00:00Z"), 48),
            at("2026-02-08T08:00:00Z")
        );
    }
}
