//! The state of each connection, and its timeouts.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::super::lifecycle::Phase;
use super::places::{Place, SiteUse};
use super::{HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT};
use crate::metric;

/// How long the client may accept nothing of a response.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the timeouts of a worker's connections are checked.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Why the gateway closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// A request's head was not received in time.
    SlowHead,
    /// The client did not read a response.
    ResponseNotRead,
    /// No request was received for too long.
    Idle,
    /// The gateway is stopping.
    Stopping,
    /// Its place was needed for a new connection.
    Shed,
    /// Its site has as many as it may, all with requests under way.
    SiteLimit,
}

impl CloseReason {
    /// The value of the metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::SlowHead => "slow_head",
            Self::ResponseNotRead => "answer_not_read",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::Shed => "shed",
            Self::SiteLimit => "site_limit",
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing was received yet.
    New,
    /// A request's head is being received, or the rest of a body after its response.
    ReadingHead,
    /// A request's body is being received, and the request handled.
    ReadingBody,
    /// A request was received, and is being handled and its response sent.
    Responding,
    /// The response was sent, and the connection is kept alive.
    Idle,
}

/// One connection: shared by its socket and its requests, which are all on one worker's thread.
#[derive(Debug)]
pub(super) struct Connection {
    /// Whose it is, as far as places go.
    pub(super) of_site: Rc<SiteUse>,
    /// Its place, until it is to be closed; one in the reserve never had any.
    place: RefCell<Option<Place>>,
    in_reserve: bool,
    /// The state and since when; the time for the first head begins with the connection.
    state: Cell<(State, Instant)>,
    /// Since when the client has accepted nothing of what is to be sent.
    write_blocked_since: Cell<Option<Instant>>,
    /// Whether the last read was refused by [`may_read`](Self::may_read).
    read_paused: Cell<bool>,
    close_reason: Cell<Option<CloseReason>>,
    /// Wakes the task that serves the connection.
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    pub(super) fn new(of_site: Rc<SiteUse>, place: Option<Place>) -> Self {
        metric::http_connections().increment(1.0);
        Self {
            of_site,
            in_reserve: place.is_none(),
            place: RefCell::new(place),
            state: Cell::new((State::New, Instant::now())),
            write_blocked_since: Cell::default(),
            read_paused: Cell::default(),
            close_reason: Cell::default(),
            waker: RefCell::default(),
        }
    }

    /// # Errors
    /// When the connection is to be closed.
    pub(super) fn check_open(&self) -> io::Result<()> {
        match self.close_reason.get() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Closes the connection: its task is woken, and every use of its socket fails from here on.
    pub(super) fn close(&self, reason: CloseReason) {
        if self.close_reason.replace(Some(reason)).is_none() {
            metric::http_connections_cut(reason.label()).increment(1);
        }
        // Before its task has noticed.
        drop(self.place.take());
        self.wake();
    }

    /// Waits until it is to be closed. Only for a task that does nothing else with the connection meanwhile.
    pub(super) async fn closed(&self) {
        poll_fn(|context| {
            self.register_waker(context);
            match self.close_reason.get() {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Whether it has no place of its own: only health and this machine are served.
    pub(super) fn in_reserve(&self) -> bool {
        self.in_reserve
    }

    /// Whether it is open without a request under way.
    pub(super) fn is_waiting(&self) -> bool {
        let (state, _) = self.state.get();
        self.close_reason.get().is_none() && matches!(state, State::New | State::ReadingHead | State::Idle)
    }

    /// How much of its timeout a connection without a request under way has waited, in thousandths.
    pub(super) fn waited_permille(&self) -> u128 {
        let (state, since) = self.state.get();
        let limit = if matches!(state, State::Idle) {
            KEEP_ALIVE_TIMEOUT
        } else {
            HEAD_TIMEOUT
        };
        since.elapsed().as_millis() * 1_000 / limit.as_millis()
    }

    /// The TLS handshake is over: the time for a head begins.
    pub(super) fn secured(&self) {
        self.set_state(State::New);
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Keeps the waker of the task that polls the socket.
    pub(super) fn register_waker(&self, context: &Context<'_>) {
        self.waker.replace(Some(context.waker().clone()));
    }

    fn set_state(&self, state: State) {
        self.state.set((state, Instant::now()));
    }

    /// Whether more may be read: not while the client accepts nothing of a response, or responses would pile up; nor while
    /// a request that was received is being answered, or pipelined requests would.
    pub(super) fn may_read(&self) -> bool {
        let responding = matches!(self.state.get(), (State::Responding, _));
        let may = !responding && self.write_blocked_since.get().is_none();
        self.read_paused.set(!may);
        may
    }

    fn resume_reading(&self) {
        if self.read_paused.take() {
            self.wake();
        }
    }

    /// The client accepts nothing more for now.
    pub(super) fn write_blocked(&self) {
        if self.write_blocked_since.get().is_none() {
            self.write_blocked_since.set(Some(Instant::now()));
        }
    }

    /// The client accepted something.
    pub(super) fn write_progressed(&self) {
        if self.write_blocked_since.take().is_none() {
            return;
        }
        // Nothing was read meanwhile: the time for a head begins again.
        if let (State::ReadingHead, _) = self.state.get() {
            self.set_state(State::ReadingHead);
        }
        self.resume_reading();
    }

    /// Bytes were received.
    pub(super) fn received(&self) {
        match self.state.get() {
            (State::New, since) => self.state.set((State::ReadingHead, since)),
            (State::Idle, _) => self.set_state(State::ReadingHead),
            (State::ReadingHead | State::ReadingBody | State::Responding, _) => {}
        }
    }

    /// The request's body was received to its end, or it has none.
    pub(super) fn body_received(&self) {
        if let (State::ReadingBody, since) = self.state.get() {
            self.state.set((State::Responding, since));
        }
    }

    pub(super) fn check_timeout(&self, now: Instant, phase: Phase) {
        // actix-http's own timeouts come first, where it has them: it answers 408.
        let (state, since) = self.state.get();
        let (since, limit, reason) = match (self.write_blocked_since.get(), state) {
            (Some(write_blocked_since), _) => {
                (write_blocked_since, SEND_TIMEOUT, CloseReason::ResponseNotRead)
            }
            (None, State::ReadingBody | State::Responding) => return,
            (None, State::ReadingHead) => (since, HEAD_TIMEOUT + CHECK_INTERVAL, CloseReason::SlowHead),
            (None, State::New | State::Idle) if phase == Phase::Stopping => {
                (since, CHECK_INTERVAL, CloseReason::Stopping)
            }
            (None, State::New) => (since, HEAD_TIMEOUT + CHECK_INTERVAL, CloseReason::Idle),
            (None, State::Idle) => (since, KEEP_ALIVE_TIMEOUT + CHECK_INTERVAL, CloseReason::Idle),
        };
        if now - since >= limit {
            self.close(reason);
        }
    }
}

/// Counts what actix-http closes by itself because its first request was not received in time.
impl Drop for Connection {
    fn drop(&mut self) {
        metric::http_connections().decrement(1.0);
        let (state, since) = self.state.get();
        // Its clock is half a second coarse.
        if self.close_reason.get().is_some() || since.elapsed() < HEAD_TIMEOUT - CHECK_INTERVAL {
            return;
        }
        match state {
            State::New => self.close(CloseReason::Idle),
            State::ReadingHead => self.close(CloseReason::SlowHead),
            State::ReadingBody | State::Responding | State::Idle => {}
        }
    }
}

/// A request in flight, until it is dropped. A connection has one at a time.
#[derive(Debug)]
pub(super) struct InFlightRequest(Rc<Connection>);

impl InFlightRequest {
    pub(super) fn begin(connection: &Rc<Connection>) -> Self {
        connection.set_state(State::ReadingBody);
        Self(Rc::clone(connection))
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.set_state(State::Idle);
        self.0.resume_reading();
    }
}

#[cfg(test)]
impl Connection {
    /// One of a worker that has no other.
    pub(super) fn alone() -> Rc<Self> {
        let share = super::descriptors::Share {
            places: 1,
            reserve: 1,
        };
        let site = crate::http::site::Site::of(std::net::Ipv4Addr::LOCALHOST.into());
        super::Connections::new(share)
            .enter(site)
            .expect("the only place")
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why it was closed after so long, checked as often as in service.
    async fn after(connection: &Connection, time: Duration) -> Option<CloseReason> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::advance(CHECK_INTERVAL).await;
            connection.check_timeout(Instant::now(), Phase::Started);
        }
        connection.close_reason.get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_must_come_soon_and_others_later() {
        let silent = Connection::alone();
        assert_eq!(after(&silent, HEAD_TIMEOUT).await, None);
        assert_eq!(after(&silent, CHECK_INTERVAL * 2).await, Some(CloseReason::Idle));
        let kept = Connection::alone();
        drop(InFlightRequest::begin(&kept));
        assert_eq!(after(&kept, KEEP_ALIVE_TIMEOUT).await, None);
        assert_eq!(after(&kept, CHECK_INTERVAL * 2).await, Some(CloseReason::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_is_slow_also_after_a_request() {
        for requests in 0..2 {
            let connection = Connection::alone();
            for _ in 0..requests {
                drop(InFlightRequest::begin(&connection));
            }
            for _ in 0..4 {
                connection.received();
                assert_eq!(after(&connection, Duration::from_secs(1)).await, None);
            }
            connection.received();
            assert_eq!(
                after(&connection, CHECK_INTERVAL * 4).await,
                Some(CloseReason::SlowHead)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_piece_by_piece_lasts_and_one_that_is_not_ends() {
        let connection = Connection::alone();
        let _request = InFlightRequest::begin(&connection);
        for _ in 0..10 {
            connection.write_blocked();
            assert_eq!(after(&connection, SEND_TIMEOUT - CHECK_INTERVAL).await, None);
            connection.write_progressed();
        }
        // Our own slowness is no fault of the client.
        assert_eq!(after(&connection, SEND_TIMEOUT * 4).await, None);
        connection.write_blocked();
        assert_eq!(
            after(&connection, SEND_TIMEOUT).await,
            Some(CloseReason::ResponseNotRead)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_not_slow_while_it_is_not_read() {
        let connection = Connection::alone();
        drop(InFlightRequest::begin(&connection));
        connection.received();
        connection.write_blocked();
        assert_eq!(after(&connection, HEAD_TIMEOUT * 2).await, None);
        connection.write_progressed();
        assert_eq!(after(&connection, HEAD_TIMEOUT).await, None);
        assert_eq!(
            after(&connection, CHECK_INTERVAL).await,
            Some(CloseReason::SlowHead)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_idle_ones_go_and_others_finish() {
        let connection = Connection::alone();
        let request = InFlightRequest::begin(&connection);
        let kept = Connection::alone();
        tokio::time::advance(CHECK_INTERVAL * 4).await;
        kept.check_timeout(Instant::now(), Phase::Draining);
        assert_eq!(kept.close_reason.get(), None, "requests are still taken");
        connection.check_timeout(Instant::now(), Phase::Stopping);
        assert_eq!(connection.close_reason.get(), None);
        kept.received();
        kept.check_timeout(Instant::now(), Phase::Stopping);
        assert_eq!(kept.close_reason.get(), None, "a request is coming");
        drop(request);
        connection.check_timeout(Instant::now(), Phase::Stopping);
        assert_eq!(connection.close_reason.get(), None, "the next may be on its way");
        tokio::time::advance(CHECK_INTERVAL).await;
        connection.check_timeout(Instant::now(), Phase::Stopping);
        assert_eq!(connection.close_reason.get(), Some(CloseReason::Stopping));
    }
}
