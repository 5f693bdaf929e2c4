//! An operator's backfill: the rows of a range, now, beside a gateway that may run on the same store.

use std::time::Duration;

use futures_util::join;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::handles::{ActorStore, PacSource, RangeStore};
use super::interface::{CollectError, Source, Store};
use super::sweep::{NUMBERS, TRIES, pause};
use super::{Collector, Poll, reply, whole};
use crate::actor::Backoff;
use crate::cdr::ids::{floor_id, hours_before, seconds_before};
use crate::cdr::{Cdr, CdrHandle, Changes, Position, Recording};
use crate::pac::PacHandle;
use crate::settings::PacSettings;

/// How long the store and PAC may take to be there at the beginning.
const STORE: Duration = Duration::from_secs(10);
const PAC: Duration = Duration::from_secs(3);

/// The waits after a step that failed, and how many may fail in a row: some two minutes, as PAC takes to be restarted.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
const MOST_FAILURES: u32 = 8;

/// What to collect: legs by their start, and their recordings. All moments are by the source's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// The first moment; None: as many days back as the first backfill goes.
    pub from: Option<Timestamp>,
    /// The moment after the last; None: now.
    pub until: Option<Timestamp>,
}

impl Range {
    /// What the position of a backfill of this range is kept under. No 3CX has such a name.
    fn place(&self, pbx: &str) -> String {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        format!("backfill {pbx} {} {}", text(self.from), text(self.until))
    }
}

/// What a backfill tells on its way.
#[derive(Debug)]
pub enum BackfillEvent<'a> {
    /// It begins, or goes on where one of the same range ended early.
    Begins {
        /// The first moment.
        from: Timestamp,
        /// The moment after the last.
        until: Timestamp,
        /// Where it goes on: legs that started before this are still to be read. None: from the beginning.
        resumed: Option<Timestamp>,
    },
    /// This many recording numbers were compared.
    Recordings {
        /// How many.
        done: u64,
        /// Of how many.
        all: u64,
    },
    /// Legs were compared as far back as this.
    Legs {
        /// Legs that started before this are still to be compared.
        to: Timestamp,
        /// How many rows the source has, legs and recordings, as far as it was read.
        read: u64,
    },
    /// A step failed and is tried again.
    Failed {
        /// Why.
        error: &'a CollectError,
        /// When it is tried again.
        again_in: Duration,
    },
}

/// What a backfill did, since it began or was taken up again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Rows that the source has in the range: legs and recordings.
    pub read: u64,
    /// Rows that were stored, and those that had been stored otherwise.
    pub stored: Changes,
    /// Rows that cannot be stored: they make no sense.
    pub unreadable: u64,
    /// Hours, and thousands of recordings, of which not all rows arrived.
    pub incomplete: u64,
}

/// Collects the rows of a range into the store: one request at a time, with a pause after each step that is as long as the
/// step took. The collector of the same 3CX, here or in another process, is not disturbed: whichever comes first stores a
/// row, and the other leaves it alone. The place is kept in the store until the range is complete.
///
/// # Errors
/// When PAC or the store fail again and again; the same range then goes on from there.
///
/// # Cancel safety
/// Safe, as for the death of the process: what is stored stays stored, and the same range goes on from there.
pub async fn backfill(
    pbx: &str,
    settings: &PacSettings,
    pac: PacHandle,
    cdr: CdrHandle,
    range: Range,
    mut tell: impl FnMut(BackfillEvent<'_>),
) -> Result<Backfilled, CollectError> {
    // Whatever is not there: the first request to it says why.
    let _ = join!(
        timeout(STORE, cdr.health().became_usable()),
        timeout(PAC, pac.health().became_usable()),
    );
    let source = PacSource {
        pac,
        timeout: settings.request_timeout(),
    };
    let named = |pbx: String| ActorStore {
        cdr: cdr.clone(),
        pbx,
    };
    let store = RangeStore {
        rows: named(pbx.to_owned()),
        place: named(range.place(pbx)),
    };
    let collector = Collector::new(pbx, settings.collector.clone(), source, store.clone());
    let done = RangeBackfill::begin(collector, range, &mut tell)
        .await?
        .run(&mut tell)
        .await?;
    if done.incomplete == 0 {
        store.forget().await?;
    }
    Ok(done)
}

/// A backfill that has begun. It keeps its place in a [`Position`] of its own: `window` and `backfill_from` are the range,
/// recordings before `recordings` and legs from `backfilled_to` on are compared, but for the `holes`.
pub(super) struct RangeBackfill<S, T> {
    pub(super) collector: Collector<S, T>,
    poll: Poll,
    from: Timestamp,
    /// Once they are known.
    numbers: Option<Numbers>,
    /// The first number of a range of which not all rows arrived; a later run begins there.
    numbers_hole: Option<i64>,
    /// Steps in a row that failed at the present numbers.
    failures: u32,
    /// Holes to try again at the end.
    holes: Option<Vec<Timestamp>>,
    read: u64,
    incomplete: u64,
}

/// The recordings to compare, by number.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    first: i64,
    next: i64,
    /// The one after the last.
    end: i64,
}

/// What a step did.
enum Step {
    Recordings,
    Legs,
    Hole,
    /// Some rows were left out, and noted.
    Incomplete,
    End,
}

impl<S: Source, T: Store> RangeBackfill<S, T> {
    pub(super) async fn begin(
        mut collector: Collector<S, T>,
        range: Range,
        tell: &mut impl FnMut(BackfillEvent<'_>),
    ) -> Result<Self, CollectError> {
        let mut position = collector.store.position().await?;
        let clock = reply::clock(&collector.source).await?;
        let resumed = position.window.and(position.backfilled_to);
        let until = position.window.or(range.until).unwrap_or(clock).min(clock);
        let days = collector.settings.backfill_days;
        let from = position.backfill_from.or(range.from);
        let from = from.unwrap_or_else(|| hours_before(until, days.saturating_mul(24)));
        if resumed.is_none() {
            position = Position {
                window: Some(until),
                backfill_from: Some(from),
                backfilled_to: Some(until),
                ..Position::default()
            };
            collector.keep(&position).await?;
        }
        tell(BackfillEvent::Begins { from, until, resumed });
        Ok(Self {
            collector,
            poll: Poll {
                clock,
                position,
                unfinished: false,
            },
            from,
            numbers: None,
            numbers_hole: None,
            failures: 0,
            holes: None,
            read: 0,
            incomplete: 0,
        })
    }

    pub(super) async fn run(
        &mut self,
        tell: &mut impl FnMut(BackfillEvent<'_>),
    ) -> Result<Backfilled, CollectError> {
        let mut failures = 0;
        loop {
            match self.step().await {
                Ok(Step::End) => break,
                Ok(Step::Incomplete) => {}
                Ok(Step::Recordings) => {
                    failures = 0;
                    if let Some(Numbers { first, next, end }) = self.numbers {
                        let [done, all] = [next, end].map(|number| number.abs_diff(first));
                        tell(BackfillEvent::Recordings { done, all });
                    }
                }
                Ok(Step::Legs | Step::Hole) => {
                    failures = 0;
                    let to = self.poll.position.backfilled_to.unwrap_or(self.from);
                    tell(BackfillEvent::Legs { to, read: self.read });
                }
                Err(error) if failures < MOST_FAILURES => {
                    let again_in = RETRY.delay(failures);
                    failures += 1;
                    tell(BackfillEvent::Failed {
                        error: &error,
                        again_in,
                    });
                    sleep(again_in).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Backfilled {
            read: self.read,
            stored: self.collector.stored,
            unreadable: self.collector.unreadable.len() as u64,
            incomplete: self.incomplete,
        })
    }

    /// Recordings come first, so that a leg's are there when it is stored; then legs, the latest first; then once more
    /// what was not complete.
    async fn step(&mut self) -> Result<Step, CollectError> {
        let numbers = match self.numbers {
            Some(numbers) => numbers,
            None => self
                .collector
                .numbers(self.from, &self.poll)
                .await
                .inspect(|numbers| self.numbers = Some(*numbers))?,
        };
        if numbers.next < numbers.end {
            return self.recordings(numbers).await;
        }
        let to = self.poll.position.backfilled_to;
        if let Some(to) = to.filter(|to| *to > self.from) {
            self.read += self
                .collector
                .backfill_hour(&mut self.poll, self.from, to)
                .await?;
            return Ok(Step::Legs);
        }
        let noted = &self.poll.position.holes;
        match self.holes.get_or_insert_with(|| noted.clone()).last() {
            Some(hole) => {
                let hole = *hole;
                self.hole(hole).await
            }
            None => Ok(Step::End),
        }
    }

    async fn recordings(&mut self, numbers: Numbers) -> Result<Step, CollectError> {
        let asked = Instant::now();
        let from = numbers.next;
        let until = from.saturating_add(NUMBERS).min(numbers.end);
        let compared = self.collector.reconcile::<Recording>(from, until).await;
        let compared = compared.and_then(|compared| whole(compared.garbled).map(|()| compared));
        let compared = match compared {
            Ok(compared) => Some(compared),
            Err(_) if self.failures + 1 >= TRIES => None,
            Err(error) => {
                self.failures += 1;
                return Err(error);
            }
        };
        self.failures = 0;
        match compared {
            Some(compared) => self.read += compared.rows,
            None => {
                self.incomplete += 1;
                self.numbers_hole.get_or_insert(from);
            }
        }
        self.numbers = Some(Numbers {
            next: until,
            ..numbers
        });
        self.poll.position.recordings = Some(self.numbers_hole.unwrap_or(until));
        self.collector.keep(&self.poll.position).await?;
        pause(asked).await;
        Ok(match compared {
            Some(_) => Step::Recordings,
            None => Step::Incomplete,
        })
    }

    /// Tries an hour again that was not complete, as the sweeps do for the collector.
    async fn hole(&mut self, hour: Timestamp) -> Result<Step, CollectError> {
        let asked = Instant::now();
        let until = seconds_before(hour, -3_600).min(self.poll.position.window.unwrap_or(self.poll.clock));
        let compared = self
            .collector
            .reconcile::<Cdr>(floor_id(hour), floor_id(until))
            .await;
        if let Some(holes) = &mut self.holes {
            holes.pop();
        }
        match compared {
            Ok(compared) if compared.garbled == 0 => {
                self.read += compared.rows;
                self.poll.position.holes.retain(|hole| *hole != hour);
                self.collector.keep(&self.poll.position).await?;
                pause(asked).await;
                Ok(Step::Hole)
            }
            Ok(_) | Err(_) => {
                self.incomplete += 1;
                pause(asked).await;
                Ok(Step::Incomplete)
            }
        }
    }
}

impl<S: Source, T: Store> Collector<S, T> {
    /// The numbers of the recordings that the legs of a range may have, and where to go on among them. Numbers are
    /// given at a recording's end, so they are off its start by as much as a leg is long.
    async fn numbers(&self, from: Timestamp, poll: &Poll) -> Result<Numbers, CollectError> {
        let longest = self.settings.longest_leg_h;
        let before = self.recording_before(hours_before(from, longest)).await?;
        let margin = i64::try_from(longest.saturating_mul(3_600)).unwrap_or(i64::MAX);
        let until = poll.position.window.unwrap_or(poll.clock);
        let last = self.recording_before(seconds_before(until, -margin)).await?;
        let first = before.saturating_add(1);
        let end = last.saturating_add(1).max(first);
        let next = poll.position.recordings.unwrap_or(first).clamp(first, end);
        Ok(Numbers { first, next, end })
    }
}
