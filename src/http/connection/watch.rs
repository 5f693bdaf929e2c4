//! What is known of each connection, and when it is ended.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

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
            Self::AnswerNotRead => "answer_not_read",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
        }
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy)]
enum State {
    /// The first byte.
    New,
    /// The rest of a request's head, or of the body of one that was answered before it ended.
    Head,
    /// The end of a request's body.
    Body,
    /// The end of the answer.
    Answer,
    /// The next request.
    KeptAlive,
}

/// One connection, as its socket and its requests know it. All of it is on one worker.
#[derive(Debug)]
pub(super) struct Watch {
    /// Since when it waits for what. The first head's time begins with the connection.
    state: Cell<(State, Instant)>,
    /// Since when the socket takes nothing of what is to be written.
    blocked_since: Cell<Option<Instant>>,
    /// Whether the task that serves the connection wanted to read, and was not let.
    reader_waits: Cell<bool>,
    cut: Cell<Option<Cut>>,
    /// Of the task that serves the connection.
    task: RefCell<Option<Waker>>,
}

impl Watch {
    fn new() -> Self {
        metric::http_connections().increment(1.0);
        Self {
            state: Cell::new((State::New, Instant::now())),
            blocked_since: Cell::default(),
            reader_waits: Cell::default(),
            cut: Cell::default(),
            task: RefCell::default(),
        }
    }

    /// # Errors
    /// When the connection must end.
    pub(super) fn alive(&self) -> io::Result<()> {
        match self.cut.get() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Ends the connection at its next turn, which is at once.
    pub(super) fn end(&self, cut: Cut) {
        if self.cut.replace(Some(cut)).is_none() {
            metric::http_connections_cut(cut.name()).increment(1);
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Who is woken when there is something to do.
    pub(super) fn polled(&self, context: &Context<'_>) {
        self.task.replace(Some(context.waker().clone()));
    }

    fn enter(&self, state: State) {
        self.state.set((state, Instant::now()));
    }

    /// Whether more is read. Not while the client takes nothing of an answer, or answers that cannot be written would pile
    /// up; nor behind a request before its answer's end, or requests would.
    pub(super) fn may_read(&self) -> bool {
        let answering = matches!(self.state.get(), (State::Answer, _));
        let may = !answering && self.blocked_since.get().is_none();
        self.reader_waits.set(!may);
        may
    }

    fn read_on(&self) {
        if self.reader_waits.take() {
            self.wake();
        }
    }

    /// The socket takes nothing more for now.
    pub(super) fn blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
    }

    /// The socket took something.
    pub(super) fn wrote(&self) {
        if self.blocked_since.take().is_none() {
            return;
        }
        // Nothing was read meanwhile: a head had no chance to end.
        if let (State::Head, _) = self.state.get() {
            self.enter(State::Head);
        }
        self.read_on();
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        match self.state.get() {
            (State::New, since) => self.state.set((State::Head, since)),
            (State::KeptAlive, _) => self.enter(State::Head),
            (State::Head | State::Body | State::Answer, _) => {}
        }
    }

    /// The request's body was read to its end, or there is none.
    pub(super) fn body_ended(&self) {
        if let (State::Body, since) = self.state.get() {
            self.state.set((State::Answer, since));
        }
    }

    fn look(&self, now: Instant, phase: Phase) {
        // The timeouts of the server below come first, where it has them: it says why.
        let (state, since) = self.state.get();
        let (since, limit, cut) = match (self.blocked_since.get(), state) {
            (Some(blocked_since), _) => (blocked_since, READ_TIMEOUT, Cut::AnswerNotRead),
            (None, State::Body | State::Answer) => return,
            (None, State::Head) => (since, HEAD_TIMEOUT + LOOK, Cut::SlowHead),
            (None, State::New | State::KeptAlive) if phase == Phase::Stopping => (since, LOOK, Cut::Stopping),
            (None, State::New) => (since, HEAD_TIMEOUT + LOOK, Cut::Idle),
            (None, State::KeptAlive) => (since, KEEP_ALIVE + LOOK, Cut::Idle),
        };
        if now - since >= limit {
            self.end(cut);
        }
    }
}

/// The server below ends by itself what has not brought a first request in time, and says so to the client alone.
impl Drop for Watch {
    fn drop(&mut self) {
        metric::http_connections().decrement(1.0);
        let (state, since) = self.state.get();
        // Its clock is about as coarse as our looks.
        if self.cut.get().is_some() || since.elapsed() < HEAD_TIMEOUT - LOOK {
            return;
        }
        match state {
            State::New => self.end(Cut::Idle),
            State::Head => self.end(Cut::SlowHead),
            State::Body | State::Answer | State::KeptAlive => {}
        }
    }
}

/// A request under way; its end is its drop. A connection has one at a time.
#[derive(Debug)]
pub(super) struct InFlight(Rc<Watch>);

impl InFlight {
    pub(super) fn begin(watch: &Rc<Watch>) -> Self {
        watch.enter(State::Body);
        Self(Rc::clone(watch))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.enter(State::KeptAlive);
        self.0.read_on();
    }
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(in crate::http) struct Watches(RefCell<Vec<Weak<Watch>>>);

impl Watches {
    pub(super) fn add(&self) -> Rc<Watch> {
        let watch = Rc::new(Watch::new());
        self.0.borrow_mut().push(Rc::downgrade(&watch));
        watch
    }

    /// Looks at all of them again and again, until the worker's runtime ends.
    pub(in crate::http) async fn look_after(self: Rc<Self>, lifecycle: Lifecycle) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = looks.tick().await;
            let phase = lifecycle.phase();
            self.0.borrow_mut().retain(|watch| {
                let watch = watch.upgrade();
                watch.inspect(|watch| watch.look(now, phase)).is_some()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why it was ended after so long, looked at as often as in service.
    async fn after(watch: &Watch, time: Duration) -> Option<Cut> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::advance(LOOK).await;
            watch.look(Instant::now(), Phase::Started);
        }
        watch.cut.get()
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
        for requests in 0..2 {
            let watch = Rc::new(Watch::new());
            for _ in 0..requests {
                drop(InFlight::begin(&watch));
            }
            for _ in 0..4 {
                watch.heard();
                assert_eq!(after(&watch, Duration::from_secs(1)).await, None);
            }
            watch.heard();
            assert_eq!(after(&watch, LOOK * 4).await, Some(Cut::SlowHead));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_piece_by_piece_lasts_and_one_that_is_not_ends() {
        let watch = Rc::new(Watch::new());
        let _request = InFlight::begin(&watch);
        for _ in 0..10 {
            watch.blocked();
            assert_eq!(after(&watch, READ_TIMEOUT - LOOK).await, None);
            watch.wrote();
        }
        // Our own slowness is no fault of the client.
        assert_eq!(after(&watch, READ_TIMEOUT * 4).await, None);
        watch.blocked();
        assert_eq!(after(&watch, READ_TIMEOUT).await, Some(Cut::AnswerNotRead));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_not_slow_while_it_is_not_read() {
        let watch = Rc::new(Watch::new());
        drop(InFlight::begin(&watch));
        watch.heard();
        watch.blocked();
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
        assert_eq!(kept.cut.get(), None, "requests are still taken");
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(watch.cut.get(), None);
        kept.heard();
        kept.look(Instant::now(), Phase::Stopping);
        assert_eq!(kept.cut.get(), None, "a request is coming");
        drop(request);
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(watch.cut.get(), None, "the next may be on its way");
        tokio::time::advance(LOOK).await;
        watch.look(Instant::now(), Phase::Stopping);
        assert_eq!(watch.cut.get(), Some(Cut::Stopping));
    }
}
