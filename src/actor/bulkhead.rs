//! The bound on the work one actor has in flight.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::Either;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::client::ClientId;
use super::queue::{For, Place, Queue};
use super::refused::Refused;

/// How much of one class of operations an integration is asked to do at once, and who may wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight at once.
    pub in_flight: usize,
    /// Requests that may wait for one of those to end; any more are refused at once. A queue that was full once is more than
    /// a burst: until it has been empty, as many may wait as may be in flight.
    pub waiting: usize,
    /// The longest such a wait, in milliseconds.
    pub wait_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 8,
            waiting: 64,
            wait_ms: 1_000,
        }
    }
}

/// The shortest and the longest wait that a refusal asks for.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// A counted set of permits with a short, bounded queue before it, fair to each client.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    /// The most permits of one client.
    of_a_client: usize,
    permits: Arc<Semaphore>,
    queue: Mutex<Queue>,
    /// Whether the queue was full and has not been empty since. That is overload: what waits in a long queue that never
    /// empties only makes everybody behind it late.
    overloaded: AtomicBool,
    hold_time: HoldTime,
}

/// How long permits are held: a moving average, in microseconds.
#[derive(Debug, Default)]
struct HoldTime(AtomicU64);

impl HoldTime {
    fn record(&self, held: Duration) {
        let held = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        let before = self.0.load(Ordering::Relaxed);
        // Two at once may lose one of them: it is an estimate.
        self.0.store(before - before / 8 + held / 8, Ordering::Relaxed);
    }

    fn average(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// One admission. It returns to its bulkhead when dropped, so whoever does the work holds it until the work ends.
#[derive(Debug)]
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    of: For,
    since: Instant,
    bulkhead: Arc<Inner>,
}

impl Permit {
    /// Whom the work is for, unless it is the gateway's own.
    pub fn client(&self) -> Option<&ClientId> {
        self.of.as_ref()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.bulkhead.hold_time.record(self.since.elapsed());
        drop(self.permit.take());
        self.bulkhead.queue().end(&self.of);
        self.bulkhead.dispatch();
    }
}

/// A place in the queue; leaving it, by time-out or a dropped caller, is seen to in one place.
struct Waiting<'a> {
    bulkhead: &'a Inner,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bulkhead.queue().leave(&self.place);
    }
}

impl Bulkhead {
    /// A bulkhead with nothing in flight.
    pub fn new(limits: Limits) -> Self {
        Self::with_share(limits, limits.in_flight)
    }

    /// The same, of which one client has at most so many permits, also when nobody else wants them: for what is held long.
    pub fn with_share(limits: Limits, of_a_client: usize) -> Self {
        Self(Arc::new(Inner {
            limits,
            of_a_client,
            permits: Arc::new(Semaphore::new(limits.in_flight)),
            queue: Mutex::default(),
            overloaded: AtomicBool::new(false),
            hold_time: HoldTime::default(),
        }))
    }

    /// Takes a permit, waiting for one at most until `deadline` or the queue's own limit.
    ///
    /// # Errors
    /// [`Refused::Saturated`] and [`Refused::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; no permit is lost.
    pub(super) async fn admit(&self, of: For, deadline: Instant) -> Result<Permit, Refused> {
        let inner = &self.0;
        let mut waiting = match inner.enter(of)? {
            Either::Left(permit) => return Ok(permit),
            Either::Right(place) => Waiting {
                bulkhead: inner,
                place,
            },
        };
        inner.dispatch();
        let until = deadline.min(Instant::now() + Duration::from_millis(inner.limits.wait_ms));
        let turn = timeout_at(until, &mut waiting.place.turn).await;
        drop(waiting);
        match turn {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) if inner.permits.is_closed() => Err(Refused::Closed),
            Ok(Err(_)) | Err(_) => Err(inner.saturated()),
        }
    }

    /// Takes a permit, waiting for one at most until the queue's own limit; none where there was none in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; no permit is lost.
    pub async fn admit_client(&self, client: Option<ClientId>) -> Option<Permit> {
        let limit = Instant::now() + Duration::from_millis(self.0.limits.wait_ms);
        self.admit(client, limit).await.ok()
    }

    /// Admits nobody any more; who waits is told at once.
    pub(super) fn close(&self) {
        self.0.permits.close();
        self.0.queue().clear();
    }

    /// Waits until nothing is in flight, at most until `deadline`. While it waits, and as long as the result is
    /// held, nothing is admitted.
    pub(super) async fn drained(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.0.limits.in_flight).unwrap_or(u32::MAX);
        match timeout_at(deadline, Arc::clone(&self.0.permits).acquire_many_owned(all)).await {
            Ok(Ok(all)) => Some(all),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The limits it was made with.
    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Permits out at the moment.
    pub(super) fn in_flight(&self) -> usize {
        let Inner { limits, permits, .. } = &*self.0;
        limits.in_flight - permits.available_permits().min(limits.in_flight)
    }

    /// Requests in the queue at the moment.
    pub(super) fn waiting(&self) -> usize {
        self.0.queue().waiting()
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit where one is free and nobody waits for it, else a place in the queue.
    fn enter(self: &Arc<Self>, of: For) -> Result<Either<Permit, Place>, Refused> {
        let mut queue = self.queue();
        // Under the lock: who closes it clears the queue afterwards.
        if self.permits.is_closed() {
            return Err(Refused::Closed);
        }
        let ahead = queue.waiting();
        if ahead == 0
            && queue.in_flight(&of) < self.of_a_client
            && let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned()
        {
            queue.begin(of.clone());
            return Ok(Either::Left(self.permit(permit, of)));
        }
        if ahead == 0 {
            self.overloaded.store(false, Ordering::Relaxed);
        } else if ahead >= self.limits.waiting {
            self.overloaded.store(true, Ordering::Relaxed);
        }
        if ahead >= self.places() && !queue.make_room(&of) {
            drop(queue);
            return Err(self.saturated());
        }
        Ok(Either::Right(queue.enter(of)))
    }

    /// Gives the permits that are free to those whose turn it is.
    fn dispatch(self: &Arc<Self>) {
        loop {
            // Whoever gets a free permit or a place does so under this lock: neither waits for the other.
            let mut queue = self.queue();
            if queue.waiting() == 0 {
                return;
            }
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                return;
            };
            let Some((of, turn)) = queue.next(self.of_a_client) else {
                return;
            };
            drop(queue);
            // Where its caller has gone, the permit is dropped here, and somebody else's turn comes.
            let _ = turn.send(self.permit(permit, of));
        }
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit, of: For) -> Permit {
        Permit {
            permit: Some(permit),
            of,
            since: Instant::now(),
            bulkhead: Arc::clone(self),
        }
    }

    /// How many may wait at the moment.
    fn places(&self) -> usize {
        if self.overloaded.load(Ordering::Relaxed) {
            self.limits.in_flight.min(self.limits.waiting)
        } else {
            self.limits.waiting
        }
    }

    /// Refuses, with the time that those who wait should take, and the caller after them.
    fn saturated(&self) -> Refused {
        let waiting = u32::try_from(self.queue().waiting() + 1).unwrap_or(u32::MAX);
        let at_once = u32::try_from(self.limits.in_flight.max(1)).unwrap_or(u32::MAX);
        Refused::Saturated {
            retry_after: (self.hold_time.average().saturating_mul(waiting) / at_once)
                .clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::select_all;

    use super::*;

    fn bulkhead(in_flight: usize, waiting: usize) -> Bulkhead {
        Bulkhead::new(Limits {
            in_flight,
            waiting,
            wait_ms: 1_000,
        })
    }

    fn client(name: &str) -> For {
        Some(ClientId::named(name))
    }

    /// What waits for a permit, from now on.
    fn waits<'a>(
        bulkhead: &'a Bulkhead,
        of: &'a str,
    ) -> impl Future<Output = Result<Permit, Refused>> + Unpin + 'a {
        let of = if of.is_empty() { None } else { client(of) };
        let mut admitted = Box::pin(bulkhead.admit(of, Instant::now() + Duration::from_secs(60)));
        assert!(admitted.as_mut().now_or_never().is_none(), "nothing is free");
        admitted
    }

    /// Ends what is in flight, one after the other, and says for whom the next turn was each time.
    async fn turns<'a>(
        first: Permit,
        mut waiting: Vec<impl Future<Output = Result<Permit, Refused>> + Unpin + 'a>,
    ) -> Vec<String> {
        let mut turns = Vec::new();
        let mut permit = first;
        while !waiting.is_empty() {
            drop(permit);
            let (next, _, others) = select_all(waiting).await;
            permit = next.unwrap();
            turns.push(permit.client().map_or_else(String::new, ToString::to_string));
            waiting = others;
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_is_told_to_wait_for_one_turn_where_nobody_else_waits() {
        let bulkhead = bulkhead(1, 0);
        let admitted = bulkhead.admit(None, Instant::now()).await.unwrap();
        tokio::time::advance(Duration::from_secs(80)).await;
        drop(admitted);
        // An eighth of the average, which was nothing before.
        let turn = Duration::from_secs(10);
        let _admitted = bulkhead.admit(None, Instant::now()).await.unwrap();
        let refused = bulkhead.admit(None, Instant::now()).await.unwrap_err();
        assert_eq!(refused, Refused::Saturated { retry_after: turn });
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateways_own_work_comes_first_then_the_client_that_has_least() {
        let bulkhead = bulkhead(2, 64);
        let now = Instant::now();
        let held = bulkhead.admit(client("greedy"), now).await.unwrap();
        let first = bulkhead.admit(client("greedy"), now).await.unwrap();
        let waiting = ["greedy", "greedy", "honest", "greedy", "other", "", "honest"];
        let waiting = waiting.map(|of| waits(&bulkhead, of)).into_iter().collect();
        // One of the greedy client's stays in flight: alone it comes after those that have none.
        assert_eq!(
            turns(first, waiting).await,
            ["", "honest", "other", "honest", "greedy", "greedy", "greedy"]
        );
        drop(held);
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
        assert!(bulkhead.0.queue().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_has_room_for_who_has_less_in_it() {
        let bulkhead = bulkhead(1, 3);
        let held = bulkhead.admit(client("greedy"), Instant::now()).await.unwrap();
        let mut greedy: Vec<_> = (0..3).map(|_| waits(&bulkhead, "greedy")).collect();
        let more = bulkhead.admit(client("greedy"), Instant::now()).await;
        assert!(matches!(more, Err(Refused::Saturated { .. })), "{more:?}");
        let honest = waits(&bulkhead, "honest");
        let refused = greedy.pop().unwrap().await;
        assert!(
            matches!(refused, Err(Refused::Saturated { .. })),
            "the last of them: {refused:?}"
        );
        greedy.push(honest);
        assert_eq!(turns(held, greedy).await, ["greedy", "honest", "greedy"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_a_share_gives_no_client_more_than_that() {
        let limits = Limits {
            in_flight: 4,
            waiting: 4,
            wait_ms: 1_000,
        };
        let bulkhead = Bulkhead::with_share(limits, 2);
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(bulkhead.admit_client(client("slow")).await.unwrap());
        }
        let begun = Instant::now();
        assert!(bulkhead.admit_client(client("slow")).await.is_none());
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        let third = waits(&bulkhead, "slow");
        held.push(bulkhead.admit_client(client("other")).await.unwrap());
        held.remove(0);
        assert!(third.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_leave_take_no_turn_along() {
        let bulkhead = bulkhead(1, 64);
        let held = bulkhead.admit(client("a"), Instant::now()).await.unwrap();
        let mut waiting: Vec<_> = ["a", "b", "c"]
            .map(|of| waits(&bulkhead, of))
            .into_iter()
            .collect();
        drop(waiting.remove(1));
        assert_eq!(bulkhead.waiting(), 2);
        // Its turn came, and it never knew.
        drop(held);
        drop(waiting.remove(0));
        assert_eq!(waiting.remove(0).await.unwrap().client(), client("c").as_ref());
        bulkhead.close();
        assert!(matches!(
            bulkhead.admit(None, Instant::now()).await,
            Err(Refused::Closed)
        ));
    }
}
