//! The bound on the work one actor has in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

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

/// A counted set of permits with a short, bounded queue before it.
#[derive(Debug)]
pub(super) struct Bulkhead {
    limits: Limits,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Whether the queue was full and has not been empty since. That is overload: what waits in a long queue that never
    /// empties only makes everybody behind it late.
    overloaded: AtomicBool,
    hold_time: Arc<HoldTime>,
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
    _permit: OwnedSemaphorePermit,
    since: Instant,
    hold_time: Arc<HoldTime>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.hold_time.record(self.since.elapsed());
    }
}

/// A place in the queue; leaving it, by success, time-out or a dropped caller, is counted in one place.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    /// A bulkhead with nothing in flight.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            permits: Arc::new(Semaphore::new(limits.in_flight)),
            waiting: AtomicUsize::new(0),
            overloaded: AtomicBool::new(false),
            hold_time: Arc::default(),
        }
    }

    /// Takes a permit, waiting for one at most until `deadline` or the queue's own limit.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; no permit is lost.
    pub(super) async fn admit(&self, deadline: Instant) -> Result<Permit, Refused> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => return Ok(self.permit(permit)),
            Err(TryAcquireError::Closed) => return Err(Refused::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Waiting(&self.waiting);
        if ahead == 0 {
            self.overloaded.store(false, Ordering::Relaxed);
        } else if ahead >= self.limits.waiting {
            self.overloaded.store(true, Ordering::Relaxed);
        }
        if ahead >= self.places() {
            return Err(self.saturated());
        }
        let until = deadline.min(Instant::now() + Duration::from_millis(self.limits.wait_ms));
        match timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.permit(permit)),
            Ok(Err(_)) => Err(Refused::Closed),
            Err(_) => Err(self.saturated()),
        }
    }

    fn permit(&self, permit: OwnedSemaphorePermit) -> Permit {
        Permit {
            _permit: permit,
            since: Instant::now(),
            hold_time: Arc::clone(&self.hold_time),
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

    /// Refuses, with the time that those who wait should take, the caller among them: its place is held until it is told.
    fn saturated(&self) -> Refused {
        let waiting = u32::try_from(self.waiting()).unwrap_or(u32::MAX);
        let at_once = u32::try_from(self.limits.in_flight.max(1)).unwrap_or(u32::MAX);
        Refused::Saturated {
            retry_after: (self.hold_time.average().saturating_mul(waiting) / at_once)
                .clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER),
        }
    }

    /// Admits nobody any more; who waits is told at once.
    pub(super) fn close(&self) {
        self.permits.close();
    }

    /// Waits until nothing is in flight, at most until `deadline`. While it waits, and as long as the result is
    /// held, nothing is admitted.
    pub(super) async fn drained(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.limits.in_flight).unwrap_or(u32::MAX);
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_many_owned(all)).await {
            Ok(Ok(all)) => Some(all),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The limits it was made with.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Permits out at the moment.
    pub(super) fn in_flight(&self) -> usize {
        self.limits.in_flight - self.permits.available_permits().min(self.limits.in_flight)
    }

    /// Requests in the queue at the moment.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_is_told_to_wait_for_one_turn_where_nobody_else_waits() {
        let bulkhead = Bulkhead::new(Limits {
            in_flight: 1,
            waiting: 0,
            wait_ms: 1_000,
        });
        let admitted = bulkhead.admit(Instant::now()).await.unwrap();
        tokio::time::advance(Duration::from_secs(80)).await;
        drop(admitted);
        // An eighth of the average, which was nothing before.
        let turn = Duration::from_secs(10);
        let _admitted = bulkhead.admit(Instant::now()).await.unwrap();
        let refused = bulkhead.admit(Instant::now()).await.unwrap_err();
        assert_eq!(refused, Refused::Saturated { retry_after: turn });
    }
}
