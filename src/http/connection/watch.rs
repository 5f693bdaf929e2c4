//! What is known of each connection, and when it is ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::rt::spawn;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::lifecycle::{Lifecycle, Phase};
use super::{HEAD_TIMEOUT, KEEP_ALIVE};
use crate::metric;

/// How long a client may take nothing of an answer that is ready for it.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two looks at all connections of a worker.
const LOOK: Duration = Duration::from_millis(500);

/// Why a connection was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A request's head did not come in time.
    SlowHead,
    /// A request's head is too large.
    HeadTooLarge,
    /// Frames that ask for nothing came too often.
    ControlFrames,
    /// An answer was not read.
    AnswerNotRead,
    /// No request came for too long.
    Idle,
    /// The gateway stops.
    Stopping,
}

impl Cut {
    /// Its name in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::SlowHead => "slow_head",
            Self::HeadTooLarge => "head_too_large",
            Self::ControlFrames => "control_frames",
            Self::AnswerNotRead => "answer_not_read",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
        }
    }
}

/// One connection, as its socket and its requests know it. All of it is on one worker.
#[derive(Debug)]
pub(super) struct Watch {
    /// The last request's end; before the first, the connection's beginning.
    idle_since: Cell<Instant>,
    requested: Cell<bool>,
    in_flight: Cell<usize>,
    /// Since when a request's head is coming.
    head_since: Cell<Option<Instant>>,
    /// Since when the socket takes nothing of what is to be written.
    blocked_since: Cell<Option<Instant>>,
    /// Whether nothing is read until the requests that came had their turn.
    resting: Cell<bool>,
    /// The answers whose next piece waits for room, by request, with since when.
    offered: RefCell<BTreeMap<u64, Instant>>,
    requests: Cell<u64>,
    cut: Cell<Option<Cut>>,
    /// Whether the client is to be told that the gateway stops.
    leaving: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

impl Watch {
    fn new() -> Self {
        Self {
            idle_since: Cell::new(Instant::now()),
            requested: Cell::new(false),
            in_flight: Cell::new(0),
            head_since: Cell::new(None),
            blocked_since: Cell::new(None),
            resting: Cell::new(false),
            offered: RefCell::default(),
            requests: Cell::new(0),
            cut: Cell::new(None),
            leaving: Cell::new(false),
            reader: RefCell::default(),
            writer: RefCell::default(),
        }
    }

    /// Why the connection must end, if it must.
    pub(super) fn verdict(&self) -> Option<Cut> {
        self.cut.get()
    }

    /// Ends the connection at its next turn, which is at once.
    pub(super) fn end(&self, cut: Cut) {
        if self.cut.replace(Some(cut)).is_none() {
            metric::http_connections_cut(cut.name()).increment(1);
        }
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// The gateway stops: the client is told, where there is a way to.
    fn leave(&self) {
        if !self.leaving.replace(true)
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    pub(super) fn park_reader(&self, context: &Context<'_>) {
        self.reader.replace(Some(context.waker().clone()));
    }

    /// The socket takes nothing more for now.
    pub(super) fn blocked(&self, context: &Context<'_>) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
        self.writer.replace(Some(context.waker().clone()));
    }

    /// The socket took something.
    pub(super) fn wrote(&self) {
        if self.blocked_since.take().is_none() {
            return;
        }
        // Nothing was read meanwhile: a head had no chance to end.
        if self.head_since.get().is_some() {
            self.head_since.set(Some(Instant::now()));
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.get().is_some()
    }

    /// Nothing more is read until the requests that came had their turn.
    ///
    /// A wake-up of the connection itself would not do: it asks for more after each request that it takes, all in the same
    /// turn. This task comes before theirs, and the connection that it wakes after them.
    pub(super) fn rest(self: &Rc<Self>) {
        self.resting.set(true);
        let watch = Rc::clone(self);
        spawn(async move {
            watch.resting.set(false);
            if let Some(reader) = watch.reader.take() {
                reader.wake();
            }
        });
    }

    pub(super) fn is_resting(&self) -> bool {
        self.resting.get()
    }

    /// Bytes came; `in_head` when they are part of a request's head.
    pub(super) fn heard(&self, in_head: bool) {
        if !in_head {
            self.head_since.set(None);
        } else if self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    fn look(&self, now: Instant, phase: Phase) {
        if phase >= Phase::Draining {
            self.leave();
        }
        let older = |since: Option<Instant>, limit| since.is_some_and(|since| now - since >= limit);
        let idle = (self.in_flight.get() == 0).then(|| self.idle_since.get());
        let patience = if self.requested.get() {
            KEEP_ALIVE
        } else {
            HEAD_TIMEOUT
        };
        let waiting = self.waiting(now);
        let coming = self.head_since.get().is_some();
        // The timeouts of the server below come first, where it has them: it says why.
        let cut = if older(self.head_since.get(), HEAD_TIMEOUT + LOOK) && !self.is_blocked() {
            Cut::SlowHead
        } else if older(self.blocked_since.get(), READ_TIMEOUT) || waiting {
            Cut::AnswerNotRead
        } else if older(idle, patience + LOOK) {
            Cut::Idle
        } else if phase == Phase::Stopping && older(idle, LOOK) && !coming && !self.is_blocked() {
            Cut::Stopping
        } else {
            return;
        };
        self.end(cut);
    }

    /// Whether an answer was not taken for so long that the connection must end. Others of HTTP/2 would end with it, a call
    /// that is being placed as well: it waits for a moment without any, and not for ever.
    fn waiting(&self, now: Instant) -> bool {
        let offered = self.offered.borrow();
        let older = |limit| {
            offered
                .values()
                .filter(move |since| now - **since >= limit)
                .count()
        };
        let stuck = older(READ_TIMEOUT);
        stuck > 0 && (stuck == self.in_flight.get() || older(READ_TIMEOUT * 2) > 0)
    }
}

/// The server below ends by itself what has not brought a first request in time, and says so to the client alone.
impl Drop for Watch {
    fn drop(&mut self) {
        // Its clock is about as coarse as our looks.
        let late = self.idle_since.get().elapsed() >= HEAD_TIMEOUT - LOOK;
        if self.cut.get().is_none() && !self.requested.get() && late {
            let begun = self.head_since.get().is_some();
            self.end(if begun { Cut::SlowHead } else { Cut::Idle });
        }
    }
}

/// A request under way; its end is its drop.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Rc<Watch>,
    number: u64,
}

impl InFlight {
    pub(super) fn begin(watch: &Rc<Watch>) -> Self {
        let number = watch.requests.get();
        watch.requests.set(number.wrapping_add(1));
        watch.requested.set(true);
        watch.head_since.set(None);
        watch.in_flight.set(watch.in_flight.get() + 1);
        let watch = Rc::clone(watch);
        Self { watch, number }
    }

    /// A piece of the answer is ready.
    pub(super) fn offer(&self) {
        let mut offered = self.watch.offered.borrow_mut();
        offered.insert(self.number, Instant::now());
    }

    /// What was offered has been taken.
    pub(super) fn taken(&self) {
        self.watch.offered.borrow_mut().remove(&self.number);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.taken();
        self.watch.in_flight.set(self.watch.in_flight.get() - 1);
        self.watch.idle_since.set(Instant::now());
    }
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(super) struct Watches(RefCell<Vec<Weak<Watch>>>);

impl Watches {
    pub(super) fn add(&self) -> Rc<Watch> {
        let watch = Rc::new(Watch::new());
        self.0.borrow_mut().push(Rc::downgrade(&watch));
        watch
    }

    /// Looks at all of them again and again, as long as the worker lives.
    pub(super) async fn look_after(watches: Weak<Self>, lifecycle: Lifecycle) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let Some(watches) = watches.upgrade() else {
                return;
            };
            let now = Instant::now();
            let phase = lifecycle.phase();
            watches.0.borrow_mut().retain(|watch| match watch.upgrade() {
                Some(watch) => {
                    watch.look(now, phase);
                    true
                }
                None => false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict after so long, looked at as often as in service.
    async fn after(watch: &Watch, time: Duration) -> Option<Cut> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::advance(LOOK).await;
            watch.look(Instant::now(), Phase::Started);
        }
        watch.verdict()
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_must_come_soon_and_others_later() {
        let silent = Watch::new();
        assert_eq!(after(&silent, HEAD_TIMEOUT).await, None);
        assert_eq!(after(&silent, LOOK * 2).await, Some(Cut::Idle));
        let kept = Rc::new(Watch::new());
        drop(InFlight::begin(&kept));
        assert_eq!(after(&kept, KEEP_ALIVE).await, None);
        assert_eq!(after(&kept, LOOK * 2).await, Some(Cut::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_is_slow_also_after_a_request() {
        let watch = Rc::new(Watch::new());
        drop(InFlight::begin(&watch));
        for _ in 0..4 {
            watch.heard(true);
            assert_eq!(after(&watch, Duration::from_secs(1)).await, None);
        }
        watch.heard(true);
        assert_eq!(after(&watch, LOOK * 4).await, Some(Cut::SlowHead));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_piece_by_piece_lasts_and_one_that_is_not_ends() {
        let watch = Rc::new(Watch::new());
        let (quick, slow) = (InFlight::begin(&watch), InFlight::begin(&watch));
        for _ in 0..10 {
            slow.offer();
            assert_eq!(after(&watch, READ_TIMEOUT - LOOK).await, None);
            slow.taken();
        }
        drop(quick);
        // Our own slowness is no fault of the client.
        assert_eq!(after(&watch, READ_TIMEOUT * 4).await, None);
        slow.offer();
        assert_eq!(after(&watch, READ_TIMEOUT).await, Some(Cut::AnswerNotRead));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_does_not_end_others_with_it_but_for_so_long() {
        let watch = Rc::new(Watch::new());
        let paused = InFlight::begin(&watch);
        paused.offer();
        assert_eq!(after(&watch, READ_TIMEOUT - LOOK).await, None);
        let call = InFlight::begin(&watch);
        assert_eq!(after(&watch, READ_TIMEOUT / 2).await, None);
        drop(call);
        assert_eq!(after(&watch, LOOK).await, Some(Cut::AnswerNotRead));

        let watch = Rc::new(Watch::new());
        let (paused, _for_ever) = (InFlight::begin(&watch), InFlight::begin(&watch));
        paused.offer();
        assert_eq!(after(&watch, READ_TIMEOUT * 2 - LOOK).await, None);
        assert_eq!(after(&watch, LOOK).await, Some(Cut::AnswerNotRead));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_not_slow_while_it_is_not_read() {
        let watch = Watch::new();
        let context = Context::from_waker(Waker::noop());
        watch.heard(true);
        watch.blocked(&context);
        watch.requested.set(true);
        assert_eq!(after(&watch, HEAD_TIMEOUT * 2).await, None);
        watch.wrote();
        assert_eq!(after(&watch, HEAD_TIMEOUT).await, None);
        assert_eq!(after(&watch, LOOK).await, Some(Cut::SlowHead));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_idle_ones_go_and_others_finish() {
        let watch = Rc::new(Watch::new());
        let request = InFlight::begin(&watch);
        let kept = Rc::new(Watch::new());
        tokio::time::advance(LOOK * 4).await;
        kept.look(Instant::now(), Phase::Draining);
        assert_eq!(kept.verdict(), None, "requests are still taken");
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(watch.verdict(), None);
        kept.heard(true);
        kept.look(Instant::now(), Phase::Stopping);
        assert_eq!(kept.verdict(), None, "a request is coming");
        drop(request);
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(
            watch.verdict(),
            None,
            "its answer may be on its way to the socket"
        );
        tokio::time::advance(LOOK).await;
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(watch.verdict(), Some(Cut::Stopping));
    }
}
