//! The bound on the work one actor has in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

/// How much an integration is asked to do at once, and who may wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight at once.
    pub in_flight: usize,
    /// Requests that may wait for one of those to end; any more are refused at once.
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

/// Admission refused: everything is taken and the queue is full, or the wait was in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saturated;

/// A counted set of permits with a short, bounded queue before it.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    limits: Limits,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// One admission. It returns to its bulkhead when dropped, so whoever does the work holds it until the work ends.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// A place in the queue; leaving it, by success, time-out or a dropped caller, is counted in one place.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bulkhead {
    /// A bulkhead with nothing in flight.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            permits: Arc::new(Semaphore::new(limits.in_flight)),
            waiting: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Takes a permit, waiting for one at most until `deadline` or the queue's own limit.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; no permit is lost.
    pub(super) async fn admit(&self, deadline: Instant) -> Result<Permit, Saturated> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit { _permit: permit });
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if ahead >= self.limits.waiting {
            return Err(Saturated);
        }
        let until = deadline.min(Instant::now() + Duration::from_millis(self.limits.wait_ms));
        match timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(Saturated),
        }
    }

    /// Waits until nothing is in flight, at most until `deadline`. While it waits, and as long as the result is
    /// held, nothing is admitted.
    pub(super) async fn drained(&self, deadline: Instant) -> Option<Permit> {
        let all = u32::try_from(self.limits.in_flight).unwrap_or(u32::MAX);
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_many_owned(all)).await {
            Ok(Ok(permit)) => Some(Permit { _permit: permit }),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Permits out at the moment.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.limits.in_flight - self.permits.available_permits().min(self.limits.in_flight)
    }

    /// Requests in the queue at the moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
