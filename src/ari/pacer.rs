//! How fast calls are placed through a trunk: a carrier refuses those above its rate.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::actor::Limits;

/// One call after another, never two at once, with a short bounded queue. Cloning it gives another handle to the same queue.
///
/// There are no bursts: carriers count within windows of their own, and of two bursts at the ends of two windows one
/// would be above the rate.
#[derive(Debug, Clone)]
pub(super) struct Pacer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    interval: Duration,
    /// Whoever holds its one permit is the next; tokio hands it on in the order in which it was asked for.
    front: Semaphore,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// When the next call may leave.
    next: Instant,
    waiting: u32,
}

/// A place in the queue, however it is left.
struct Place<'a>(&'a Pacer);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.queue().waiting -= 1;
    }
}

impl Pacer {
    pub(super) fn new(calls_per_s: NonZeroU32) -> Self {
        Self(Arc::new(Inner {
            interval: Duration::from_secs(1) / calls_per_s.get(),
            front: Semaphore::new(1),
            queue: Mutex::new(Queue {
                next: Instant::now(),
                waiting: 0,
            }),
        }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call may leave, within the limits of waiting and at most until `deadline`. Who cannot have a turn by
    /// then is refused at once.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; those behind move up.
    pub(super) async fn acquire(&self, limits: Limits, deadline: Instant) -> Result<(), Duration> {
        let until = deadline.min(Instant::now() + Duration::from_millis(limits.wait_ms));
        let _place = self.enter(limits.waiting, until)?;
        let turn = async {
            // It is never closed.
            let _front = self.0.front.acquire().await;
            let next = self.queue().next;
            let waits = next > Instant::now();
            if waits {
                sleep_until(next).await;
            }
            // A timer that was a little late does not make the calls behind it late too.
            let left_at = if waits { next } else { Instant::now() };
            self.queue().next = left_at + self.0.interval;
        };
        timeout_at(until, turn)
            .await
            .map_err(|_| self.after_all(&self.queue()))
    }

    fn enter(&self, room: usize, until: Instant) -> Result<Place<'_>, Duration> {
        let mut queue = self.queue();
        let wait = self.after_all(&queue);
        let has_room = (queue.waiting as usize) < room && Instant::now() + wait <= until;
        if !wait.is_zero() && !has_room {
            return Err(wait);
        }
        queue.waiting += 1;
        Ok(Place(self))
    }

    /// How long until everybody that waits has left and one more may.
    fn after_all(&self, queue: &Queue) -> Duration {
        queue.next.saturating_duration_since(Instant::now()) + self.0.interval * queue.waiting
    }
}

#[cfg(test)]
mod tests;
