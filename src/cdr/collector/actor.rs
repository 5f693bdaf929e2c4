//! The supervised actor around a collector: polls one after the other, and says how it goes.

use std::time::Duration;

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message};
use futures_util::join;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::handles::{ActorStore, PacSource};
use super::{CollectError, Collector, Known, Polled};
use crate::actor::{self, ActorHandle, Backoff, Health, Placement, Spawn, notify, spawn_detached};
use crate::cdr::CdrHandle;
use crate::metric;
use crate::pac::PacHandle;
use crate::settings::PacSettings;

/// How long a poll may take as a whole. Each of its requests has its own deadline; this is for what those forget.
const POLL_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a poll waits for the PAC and the store to be usable before it finds out by asking.
const USABLE_WITHIN: Duration = Duration::from_millis(500);

/// The longest wait after polls that failed, in intervals: a poll of a PAC that is away costs it one request.
const LONGEST_BACKOFF: u32 = 6;

/// The way to a collector, for its health and its end: it is asked nothing.
pub type CollectorHandle = ActorHandle<CollectorActor>;

/// Starts the actor `collector.{pbx}`, which polls the 3CX behind `pac` at once and then again and again.
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
    let parts = Parts {
        pbx: pbx.to_owned(),
        settings,
        pac,
        cdr,
    };
    actor::spawn(spawn, move |health| CollectorActor::new(parts.clone(), health))
}

/// Collects the CDRs of one 3CX by polling: the next begins an interval after the end of the one before it, and none while
/// an operator has it paused.
#[derive(Debug)]
pub struct CollectorActor {
    parts: Parts,
    health: Health,
    interval: Duration,
    backoff: Backoff,
    /// What the latest poll left behind.
    collector: Option<Running>,
    /// Dropped with the actor, so that a rebuilt one does not poll beside it.
    poll: Option<AbortOnDropHandle<()>>,
    /// Polls in a row that reached nothing.
    failures: u32,
    status: CollectorStatus,
}

type Running = Collector<PacSource, ActorStore>;

/// What a collector is made of.
#[derive(Debug, Clone)]
struct Parts {
    pbx: String,
    settings: PacSettings,
    pac: PacHandle,
    cdr: CdrHandle,
}

impl Parts {
    /// Waits a moment for the store and the way to the source to say that they are usable: at a start all actors are
    /// built at once, and a first poll that meets none of them is no failure of the source.
    async fn wait_until_usable(&self) {
        let usable = async {
            join!(
                self.pac.health().became_usable(),
                self.cdr.health().became_usable()
            );
        };
        let _ = timeout(USABLE_WITHIN, usable).await;
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
    /// When the latest poll without an error ended, by our clock.
    pub last_success: Option<Timestamp>,
    /// What went wrong with the latest poll.
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
    fn new(parts: Parts, health: &Health) -> Self {
        let interval = Duration::from_millis(parts.settings.collector.interval_ms.max(1));
        let backoff = Backoff::new(interval, interval.saturating_mul(LONGEST_BACKOFF));
        Self {
            parts,
            health: health.clone(),
            interval,
            backoff,
            collector: None,
            poll: None,
            failures: 0,
            status: CollectorStatus::default(),
        }
    }

    fn poll(&mut self, context: &Context<Self>) {
        let panicked = PollEnded {
            collector: None,
            polled: Polled::failed(CollectError::Panicked),
        };
        let guard = EndGuard(context.address(), Some(panicked));
        let collector = self.collector.take();
        let (parts, health) = (self.parts.clone(), self.health.clone());
        let poll = async move {
            health.resumed().await;
            parts.wait_until_usable().await;
            let mut collector = collector.unwrap_or_else(|| parts.collector());
            let polled = timeout(POLL_TIMEOUT, collector.poll()).await;
            let polled =
                polled.unwrap_or_else(|_| Polled::failed(CollectError::TooLong { limit: POLL_TIMEOUT }));
            guard.tell(PollEnded {
                collector: Some(Box::new(collector)),
                polled,
            });
        };
        let task = spawn_detached(&self.health, "poll", poll);
        self.poll = Some(AbortOnDropHandle::new(task));
    }

    fn publish(&mut self, error: Option<&CollectError>) {
        let status = &mut self.status;
        // Once for as long as it goes on: a poll comes every few seconds.
        if let (None, Some(error)) = (&status.last_error, error) {
            tracing::warn!(pbx = %self.parts.pbx, %error, "collecting fails");
        }
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
            metric::cdr_lag(self.parts.pbx.clone()).set(lag as f64);
        }
        self.health.publish(error.is_none(), status);
    }
}

impl Actor for CollectorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.poll(context);
    }
}

/// A note that a poll has ended.
struct PollEnded {
    /// None when it was lost to a panic.
    collector: Option<Box<Running>>,
    polled: Polled,
}

/// Leaves the note in any case: the one about a panic, unless another was told.
struct EndGuard(Addr<CollectorActor>, Option<PollEnded>);

impl EndGuard {
    fn tell(mut self, note: PollEnded) {
        self.1 = Some(note);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if let Some(note) = self.1.take() {
            notify(&self.0, note);
        }
    }
}

impl Message for PollEnded {
    type Result = ();
}

impl Handler<PollEnded> for CollectorActor {
    type Result = ();

    fn handle(&mut self, note: PollEnded, context: &mut Self::Context) {
        self.poll = None;
        self.collector = note.collector.map(|collector| *collector);
        self.publish(note.polled.error.as_ref());
        let delay = if note.polled.reached {
            self.failures = 0;
            if note.polled.unfinished {
                Duration::ZERO
            } else {
                self.interval
            }
        } else {
            let delay = self.backoff.delay(self.failures);
            self.failures = self.failures.saturating_add(1);
            delay
        };
        context.run_later(delay, |actor, context| actor.poll(context));
    }
}
