//! The sweep: what the window and the watermark did not see, because it appeared late or changed afterwards.

use jiff::Timestamp;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::bucket::Reconciled;
use super::interface::{CollectError, Source, Store};
use super::{Collector, Poll, SLICE, whole};
use crate::cdr::ids::{floor_id, hour_of, hours_before, seconds_before};
use crate::cdr::{Cdr, Position, Recording};

/// Recording numbers compared at once.
pub(super) const NUMBERS: i64 = 1_000;

/// How many of those ranges a sweep compares, from the watermark down: recordings carry no time in their keys, and
/// the source has no index by time.
const RANGES: i64 = 10;

/// Polls that may fail at one range before the sweep, or the backfill, goes on without it.
pub(super) const TRIES: u32 = 3;

/// The longest pause between two ranges.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Hours without all of their rows that are remembered, at most.
const MOST_HOLES: usize = 1_000;

/// What a sweep compares at once.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// Legs by an hour of start.
    Hour {
        from: Uuid,
        until: Uuid,
        hour: Timestamp,
    },
    /// Recordings by number.
    Numbers { from: i64, until: i64 },
    /// An hour that was left without all of its rows.
    Hole(Timestamp),
}

/// Remembers an hour without all of its rows, for the sweeps to come; false when there are too many.
pub(super) fn note_hole(holes: &mut Vec<Timestamp>, hour: Timestamp) -> bool {
    if !holes.contains(&hour) {
        if holes.len() >= MOST_HOLES {
            return false;
        }
        tracing::warn!(%hour, "not all rows of an hour arrived: the sweeps try it again");
        holes.push(hour);
    }
    true
}

/// A sweep that has begun. It goes downwards, the latest hour first.
#[derive(Debug)]
pub(super) struct Sweep {
    began: Timestamp,
    /// Hours of start before this are still to be compared; none yet.
    hours_to: Option<Timestamp>,
    hours_from: Timestamp,
    /// Recording numbers before this are still to be compared.
    numbers_to: i64,
    numbers_from: i64,
    /// Hours of earlier sweeps and the backfill without all of their rows, still to be tried again.
    holes: Vec<Timestamp>,
    /// Those of them that are whole now.
    filled: Vec<Timestamp>,
    /// Hours of which this sweep did not get all rows.
    found: Vec<Timestamp>,
    /// Polls in a row that failed at the present range.
    failures: u32,
    garbled: u64,
}

impl Sweep {
    fn new(clock: Timestamp, position: &Position, horizon_h: u64) -> Self {
        // A row may take as long as the horizon to appear; so what had not appeared at the latest complete sweep is
        // at most that much older than it.
        let since = position.swept_at.unwrap_or(clock).min(clock);
        let recordings = position.recordings.unwrap_or_default();
        let numbers_to = (recordings.div_euclid(NUMBERS) + 1).saturating_mul(NUMBERS);
        Self {
            began: clock,
            hours_to: None,
            hours_from: hour_of(hours_before(since, horizon_h)),
            numbers_to,
            numbers_from: numbers_to.saturating_sub(RANGES * NUMBERS),
            holes: position.holes.clone(),
            filled: Vec::new(),
            found: Vec::new(),
            failures: 0,
            garbled: 0,
        }
    }

    /// The next hour of start to compare, as ids. The latest one has no end, so that legs with an id of a clock
    /// that was set back later are in it too.
    fn next_hour(&mut self) -> Option<(Uuid, Uuid)> {
        let (from, until) = match self.hours_to {
            None => (hour_of(self.began), Uuid::max()),
            Some(to) => (seconds_before(to, 3_600), floor_id(to)),
        };
        if from < self.hours_from || self.hours_to.is_some_and(|to| from >= to) {
            return None;
        }
        self.hours_to = Some(from);
        Some((floor_id(from), until))
    }

    /// The range to compare now.
    fn next(&mut self) -> Option<Range> {
        if let Some((from, until)) = self.next_hour() {
            return Some(Range::Hour {
                from,
                until,
                hour: self.hours_to?,
            });
        }
        if let Some((from, until)) = self.next_numbers() {
            return Some(Range::Numbers { from, until });
        }
        self.holes.last().map(|hour| Range::Hole(*hour))
    }

    /// Takes note of how a range was compared.
    fn compared(&mut self, range: Range, garbled: u64) {
        self.failures = 0;
        self.garbled += garbled;
        match range {
            Range::Hour { hour, .. } if garbled > 0 => self.found.push(hour),
            Range::Hole(hour) => {
                self.holes.pop();
                if garbled == 0 {
                    self.filled.push(hour);
                }
            }
            Range::Hour { .. } | Range::Numbers { .. } => {}
        }
    }

    /// The holes that are left when it ends. Says whether there was room for all of them.
    fn settle_holes(&self, holes: &mut Vec<Timestamp>) -> bool {
        holes.retain(|hole| !self.filled.contains(hole));
        self.found.iter().all(|hour| note_hole(holes, *hour))
    }

    fn next_numbers(&mut self) -> Option<(i64, i64)> {
        if self.numbers_to <= self.numbers_from {
            return None;
        }
        let until = self.numbers_to;
        self.numbers_to -= NUMBERS;
        Some((self.numbers_to, until))
    }
}

impl<S: Source, T: Store> Collector<S, T> {
    /// Goes on with the sweep, or begins one that is due, for a slice of time.
    ///
    /// An hour of which not all rows arrive, or that cannot be compared at all in a few polls, holds up nothing: it is
    /// noted as a hole, and each sweep tries it again. So a sweep ends, and the next one reaches back behind it.
    pub(super) async fn sweep(&mut self, poll: &mut Poll) -> Result<(), CollectError> {
        let Some(mut sweep) = self.sweep.take().or_else(|| self.due(poll)) else {
            return Ok(());
        };
        let slice = Instant::now() + SLICE;
        let before = |sweep: &Sweep| (sweep.hours_to, sweep.numbers_to);
        loop {
            let asked = Instant::now();
            let place = before(&sweep);
            let Some(range) = sweep.next() else { break };
            match self.compare(&mut sweep, range).await {
                Ok(compared) => sweep.compared(range, compared.garbled),
                Err(_) if sweep.failures + 1 >= TRIES => sweep.compared(range, 1),
                Err(error) => {
                    // The same range again, at the next poll.
                    (sweep.hours_to, sweep.numbers_to) = place;
                    sweep.failures += 1;
                    self.sweep = Some(sweep);
                    return Err(error);
                }
            }
            pause(asked).await;
            if Instant::now() >= slice {
                self.sweep = Some(sweep);
                return Ok(());
            }
        }
        self.swept_at = Some(sweep.began);
        if sweep.settle_holes(&mut poll.position.holes) {
            poll.position.swept_at = Some(sweep.began);
        }
        self.keep(&poll.position).await?;
        whole(sweep.garbled)
    }

    async fn compare(&mut self, sweep: &mut Sweep, range: Range) -> Result<Reconciled, CollectError> {
        match range {
            Range::Hour { from, until, .. } => self.compare_hour(sweep, from, until).await,
            Range::Numbers { from, until } => self.reconcile::<Recording>(from, until).await,
            Range::Hole(hour) => {
                let until = seconds_before(hour, -3_600);
                self.reconcile::<Cdr>(floor_id(hour), floor_id(until)).await
            }
        }
    }

    /// Compares an hour. After an empty one the sweep goes on at the next that is not, however far below: after a
    /// long downtime there may be many.
    async fn compare_hour(
        &mut self,
        sweep: &mut Sweep,
        from: Uuid,
        until: Uuid,
    ) -> Result<Reconciled, CollectError> {
        let compared = self.reconcile::<Cdr>(from, until).await?;
        if let Some(to) = sweep
            .hours_to
            .filter(|to| compared.rows == 0 && *to > sweep.hours_from)
        {
            let latest = self.latest(sweep.hours_from, to).await?;
            sweep.hours_to = Some(latest.map_or(sweep.hours_from, |at| seconds_before(hour_of(at), -3_600)));
        }
        Ok(compared)
    }

    /// A new sweep, when the interval since the beginning of the latest one has passed by the source's clock.
    fn due(&mut self, poll: &Poll) -> Option<Sweep> {
        let interval = i64::try_from(self.settings.sweep_interval_ms / 1_000).unwrap_or(i64::MAX);
        let latest = self.swept_at.or(poll.position.swept_at);
        let waiting = latest
            .is_some_and(|latest| latest <= poll.clock && latest > seconds_before(poll.clock, interval));
        (!waiting).then(|| Sweep::new(poll.clock, &poll.position, self.settings.sweep_horizon_h))
    }
}

/// Leaves the source as much time for others as the latest question took.
pub(super) async fn pause(asked: Instant) {
    tokio::time::sleep(asked.elapsed().min(LONGEST_PAUSE)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::ids::started_at;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_sweep_covers_every_hour_down_to_the_horizon_without_a_gap() {
        let clock = at("2026-02-10T08:41:57Z");
        let mut sweep = Sweep::new(clock, &Position::default(), 48);
        let mut until = Uuid::max();
        let mut hours = 0;
        while let Some((from, to)) = sweep.next_hour() {
            assert_eq!(to, until);
            until = from;
            hours += 1;
        }
        assert_eq!(hours, 49);
        assert_eq!(started_at(until), Some(at("2026-02-08T08:00:00Z")));
    }

    #[test]
    fn after_a_week_of_downtime_it_reaches_back_behind_the_latest_complete_sweep() {
        let position = Position {
            swept_at: Some(at("2026-02-03T08:00:00Z")),
            ..Position::default()
        };
        let sweep = Sweep::new(at("2026-02-10T08:41:57Z"), &position, 48);
        assert_eq!(sweep.hours_from, at("2026-02-01T08:00:00Z"));
    }

    #[test]
    fn recordings_are_compared_in_ranges_from_above_the_watermark_down() {
        let position = Position {
            recordings: Some(12_345),
            ..Position::default()
        };
        let mut sweep = Sweep::new(at("2026-02-10T08:41:57Z"), &position, 48);
        let ranges: Vec<_> = std::iter::from_fn(|| sweep.next_numbers()).collect();
        assert_eq!(ranges.first(), Some(&(12_000, 13_000)));
        assert_eq!(ranges.last(), Some(&(3_000, 4_000)));
        assert_eq!(ranges.len(), 10);
    }
}
