//! The collector: brings every CDR of a 3CX into the store, once, whatever happens.
//!
//! Legs appear in the source when they end or when their whole call ends, recordings after both, and a row may
//! change later. So there are four ways in, and every row that is taken by one of them is left alone by the others,
//! because each lists keys and digests and takes only what the store has not, or has otherwise:
//!
//! * the **window**, at every poll: what ended since the last one, and a while before it;
//! * **recordings** above their watermark;
//! * the **sweep**: hours of start compared by count and hash, over the horizon, the late and the changed;
//! * the first **backfill**: the hours before the gateway's first day, once. An operator's backfill of a
//!   [range](Range) takes the same steps.
//!
//! Rows are stored with the position that holds once they are, in one transaction. A kill, a lost reply or a second
//! gateway beside this one costs a repetition and never a row. All moments are by the source's clock, and every query
//! is bounded by keys, since ids hold the time of their leg's start.
//!
//! The sweep compares recordings by number, the latest 10,000: they carry no time in their keys, and the source has no
//! index by time. A change to an older one, such as its late move to an archive, is not seen.
//!
//! What is out of reach: a leg that appears later than the sweep's horizon after its start, unless it is shorter
//! than the window's longest leg. Both are settings.

mod actor;
mod backfill;
mod bucket;
mod fetch;
mod handles;
mod interface;
#[cfg(feature = "peers")]
#[cfg(test)]
mod postgres_tests;
mod queries;
mod range;
mod recordings;
mod reply;
mod rows;
mod sweep;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub use actor::{CollectorActor, CollectorHandle, CollectorStatus, spawn};
pub use interface::CollectError;
pub use range::{BackfillEvent, Backfilled, Range, backfill};

use super::{Changes, Position};
use crate::metric;
use crate::settings::CollectorSettings;
use interface::{Source, Store};
use reply::Tally;
use sweep::Sweep;

/// How long one part of a poll goes on before the others get their turn. It ends between two requests.
const SLICE: Duration = Duration::from_secs(10);

/// Why rows are set aside, in metrics.
const GARBLED: &str = "garbled";
const UNREADABLE: &str = "unreadable";

/// Has the counters of a source that alerts ask about begin at 0.
fn begin_counters(pbx: &str) {
    for reason in [GARBLED, UNREADABLE] {
        metric::cdr_quarantined(pbx.to_owned(), reason).increment(0);
    }
    metric::cdr_looks(pbx.to_owned(), "window", "ok").increment(0);
}

/// What a collector knows besides its position, all of which may be lost.
#[derive(Debug)]
struct Collector<S, T> {
    pbx: String,
    settings: CollectorSettings,
    source: S,
    store: T,
    /// Digests by key of rows that cannot be stored as they are.
    unreadable: BTreeMap<String, String>,
    /// Settled tallies by the first key of their range.
    settled: BTreeMap<String, Tally>,
    sweep: Option<Sweep>,
    /// When the latest sweep began, complete or not.
    swept_at: Option<Timestamp>,
    /// Polls in a row that failed at the backfill's present hour.
    backfill_failures: u32,
    /// What was stored since the start.
    stored: Changes,
    /// The latest clock and position that are known.
    known: Option<Known>,
}

/// The state of things after a poll.
#[derive(Debug, Clone)]
struct Known {
    clock: Timestamp,
    /// When, by our own clock, the source's was read.
    read_at: Instant,
    position: Position,
}

/// One poll, on its way.
#[derive(Debug)]
struct Poll {
    clock: Timestamp,
    position: Position,
    /// A part stopped at the end of its slice: the next poll should follow at once.
    unfinished: bool,
}

/// How a poll ended.
#[derive(Debug)]
struct Polled {
    /// The first error, if any part had one.
    error: Option<CollectError>,
    /// Whether the source and the store themselves answered; if not, the next poll can wait.
    reached: bool,
    /// Whether there is more to do at once.
    unfinished: bool,
}

impl Polled {
    /// Neither was reached, or nothing is known of it.
    fn failed(error: CollectError) -> Self {
        Self {
            error: Some(error),
            reached: false,
            unfinished: false,
        }
    }
}

/// An error where rows did not arrive as they are.
fn whole(garbled: u64) -> Result<(), CollectError> {
    match garbled {
        0 => Ok(()),
        rows => Err(CollectError::Garbled { rows }),
    }
}

impl<S: Source, T: Store> Collector<S, T> {
    fn new(pbx: &str, settings: CollectorSettings, source: S, store: T) -> Self {
        Self {
            pbx: pbx.to_owned(),
            settings,
            source,
            store,
            unreadable: BTreeMap::new(),
            settled: BTreeMap::new(),
            sweep: None,
            swept_at: None,
            backfill_failures: 0,
            stored: Changes::default(),
            known: None,
        }
    }

    /// Polls once: every part for a slice of time, each whether or not another failed.
    ///
    /// # Cancel safety
    /// Safe: what is stored is stored with its position, and the next poll asks for the rest again.
    async fn poll(&mut self) -> Polled {
        let mut poll = match self.begin().await {
            Ok(poll) => poll,
            Err(error) => {
                self.count("begin", false);
                return Polled::failed(error);
            }
        };
        let window = self.window(&mut poll).await;
        self.know(&poll);
        let recordings = self.recordings(&mut poll).await;
        let sweep = self.sweep(&mut poll).await;
        let backfill = self.backfill(&mut poll).await;
        self.know(&poll);
        // Rows that did not arrive whole came from a source that answers.
        let reached = matches!(window, Ok(()) | Err(CollectError::Garbled { .. }));
        let parts = [
            ("window", window),
            ("recordings", recordings),
            ("sweep", sweep),
            ("backfill", backfill),
        ];
        let mut first = None;
        for (kind, ended) in parts {
            self.count(kind, ended.is_ok());
            if let Err(error) = ended {
                tracing::warn!(pbx = %self.pbx, kind, %error, "a poll failed");
                first = first.or(Some(error));
            }
        }
        Polled {
            error: first,
            reached,
            unfinished: poll.unfinished,
        }
    }

    /// The position comes from the store each time: the reply to a write may have been lost, and another gateway
    /// may write too.
    async fn begin(&mut self) -> Result<Poll, CollectError> {
        let position = self.store.position().await?;
        // Until the source tells its time, ours shows how far behind the window is.
        self.known.get_or_insert_with(|| Known {
            clock: Timestamp::now(),
            read_at: Instant::now(),
            position: position.clone(),
        });
        let clock = reply::clock(&self.source).await?;
        Ok(Poll {
            clock,
            position,
            unfinished: false,
        })
    }

    fn know(&mut self, poll: &Poll) {
        self.known = Some(Known {
            clock: poll.clock,
            read_at: Instant::now(),
            position: poll.position.clone(),
        });
    }

    fn count(&self, kind: &'static str, ok: bool) {
        let outcome = if ok { "ok" } else { "error" };
        metric::cdr_looks(self.pbx.clone(), kind, outcome).increment(1);
    }
}
