//! The supervised actor around a collector: looks one after the other, and says how it goes.

use std::time::Duration;

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message};
use futures_util::join;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::handles::{ActorStore, PacSource};
use super::{CollectError, Collector, Known, Looked};
use crate::actor::{self, ActorHandle, Backoff, Health, Placement, Spawn, notify, spawn_detached};
use crate::cdr::CdrHandle;
use crate::metric;
use crate::pac::PacHandle;
use crate::settings::PacSettings;

/// How long a look may take as a whole. Each of its requests has its own deadline; this is for what those forget.
const LOOK_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a look waits for its neighbours before it finds out by asking.
const NEIGHBOURS: Duration = Duration::from_millis(500);

/// The longest wait after looks that failed, in intervals: a look at a PAC that is away costs it one request.
const LONGEST_BACKOFF: u32 = 6;

/// The way to a collector, for its health and its end: it is asked nothing.
pub type CollectorHandle = ActorHandle<CollectorActor>;

/// Starts the actor `collector.{pbx}`, which looks at the 3CX behind `pac` at once and then again and again.
pub fn spawn(
    pbx: &str,
    settings: PacSettings,
    pac: PacHandle,
    cdr: CdrHandle,
    placement: Placement,
) -> CollectorHandle {
    super::begin_counters(pbx);
    let spawn = Spawn {
        depends_on: vec![cdr.health().clone()],
        ..Spawn::new(format!("collector.{pbx}"), placement, Vec::new())
    };
    let make = Maker {
        pbx: pbx.to_owned(),
        settings,
        pac,
        cdr,
    };
    actor::spawn(spawn, move |health| CollectorActor::new(make.clone(), health))
}

/// Collects the CDRs of one 3CX, by looks: the next begins an interval after the end of the one before it, and none while
/// an operator has it paused.
#[derive(Debug)]
pub struct CollectorActor {
    make: Maker,
    health: Health,
    interval: Duration,
    backoff: Backoff,
    /// What the latest look left behind.
    collector: Option<Running>,
    /// Dropped with the actor, so that a rebuilt one does not look beside it.
    look: Option<AbortOnDropHandle<()>>,
    /// Looks in a row that reached nothing.
    failures: u32,
    status: CollectorStatus,
}

type Running = Collector<PacSource, ActorStore>;

/// What a collector is made of.
#[derive(Debug, Clone)]
struct Maker {
    pbx: String,
    settings: PacSettings,
    pac: PacHandle,
    cdr: CdrHandle,
}

impl Maker {
    /// Waits a moment for the store and the way to the source to say that they are usable: at a start all actors are
    /// built at once, and a first look that meets none of them is no failure of the source.
    async fn wait_for_neighbours(&self) {
        let usable = async {
            join!(
                self.pac.health().became_usable(),
                self.cdr.health().became_usable()
            );
        };
        let _ = timeout(NEIGHBOURS, usable).await;
    }

    fn collector(&self) -> Running {
        let source = PacSource {
            pac: self.pac.clone(),
            timeout: self.settings.request_timeout(),
        };
        let store = ActorStore {
            cdr: self.cdr.clone(),
            pbx: self.pbx.clone(),
        };
        Collector::new(&self.pbx, self.settings.collector.clone(), source, store)
    }
}

/// A collector's state on `/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CollectorStatus {
    /// When the latest look without an error ended, by our clock.
    pub last_success: Option<Timestamp>,
    /// What went wrong with the latest look.
    pub last_error: Option<String>,
    /// Legs that ended before this were listed, by the source's clock.
    pub window: Option<Timestamp>,
    /// How far the window is behind the source's clock, in seconds.
    pub lag_s: Option<i64>,
    /// When the latest complete sweep began, by the source's clock.
    pub swept_at: Option<Timestamp>,
    /// How many hours the first backfill still has before it.
    pub backfill_hours: Option<i64>,
    /// Rows stored, new and changed, since the collector started.
    pub rows_stored: u64,
}

impl CollectorActor {
    fn new(make: Maker, health: &Health) -> Self {
        let interval = Duration::from_millis(make.settings.collector.interval_ms.max(1));
        let backoff = Backoff::new(interval, interval.saturating_mul(LONGEST_BACKOFF));
        Self {
            make,
            health: health.clone(),
            interval,
            backoff,
            collector: None,
            look: None,
            failures: 0,
            status: CollectorStatus::default(),
        }
    }

    fn look(&mut self, context: &Context<Self>) {
        let panicked = LookEnded {
            collector: None,
            looked: Looked::failed(CollectError::Panicked),
        };
        let ending = Ending(context.address(), Some(panicked));
        let collector = self.collector.take();
        let (make, health) = (self.make.clone(), self.health.clone());
        let look = async move {
            health.resumed().await;
            make.wait_for_neighbours().await;
            let mut collector = collector.unwrap_or_else(|| make.collector());
            let looked = timeout(LOOK_TIMEOUT, collector.look()).await;
            let looked =
                looked.unwrap_or_else(|_| Looked::failed(CollectError::TooLong { limit: LOOK_TIMEOUT }));
            ending.tell(LookEnded {
                collector: Some(Box::new(collector)),
                looked,
            });
        };
        let task = spawn_detached(&self.health, "look", look);
        self.look = Some(AbortOnDropHandle::new(task));
    }

    fn publish(&mut self, error: Option<&CollectError>) {
        let status = &mut self.status;
        status.last_error = error.map(ToString::to_string);
        if error.is_none() {
            status.last_success = Some(Timestamp::now());
        }
        if let Some(collector) = &self.collector {
            status.rows_stored = collector.stored.inserted + collector.stored.updated;
            if let Some(Known {
                clock,
                read_at,
                position,
            }) = &collector.known
            {
                let now = *clock + SignedDuration::try_from(read_at.elapsed()).unwrap_or_default();
                status.window = position.window;
                status.lag_s = position.window.map(|window| (now - window).get_seconds());
                status.swept_at = position.swept_at;
                let left = position.backfilled_to.zip(position.backfill_from);
                status.backfill_hours =
                    left.map(|(to, from)| (to.as_second() - from.as_second()).max(0) / 3_600);
            }
        }
        if let Some(lag) = status.lag_s {
            #[expect(clippy::cast_precision_loss, reason = "seconds of a lag are far below 2^52")]
            metric::cdr_lag(self.make.pbx.clone()).set(lag as f64);
        }
        self.health.publish(error.is_none(), status);
    }
}

impl Actor for CollectorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.look(context);
    }
}

/// A note that a look has ended.
struct LookEnded {
    /// None when it was lost to a panic.
    collector: Option<Box<Running>>,
    looked: Looked,
}

/// Leaves the note in any case: the one about a panic, unless another was told.
struct Ending(Addr<CollectorActor>, Option<LookEnded>);

impl Ending {
    fn tell(mut self, note: LookEnded) {
        self.1 = Some(note);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(note) = self.1.take() {
            notify(&self.0, note);
        }
    }
}

impl Message for LookEnded {
    type Result = ();
}

impl Handler<LookEnded> for CollectorActor {
    type Result = ();

    fn handle(&mut self, note: LookEnded, context: &mut Self::Context) {
        self.look = None;
        self.collector = note.collector.map(|collector| *collector);
        self.publish(note.looked.error.as_ref());
        let delay = if note.looked.reached {
            self.failures = 0;
            if note.looked.unfinished {
                Duration::ZERO
            } else {
                self.interval
            }
        } else {
            let delay = self.backoff.delay(self.failures);
            self.failures = self.failures.saturating_add(1);
            delay
        };
        context.run_later(delay, |actor, context| actor.look(context));
    }
}
