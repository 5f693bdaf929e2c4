//! What stands before an actor: permits and a circuit breaker for each class of its operations.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::breaker::{Attempt, Breaker, BreakerState};
use super::bulkhead::{Bulkhead, Limits, Permit};
use super::class::Class;
use super::refused::Refused;

/// Between two looks whether anything is in flight still.
const LOOK: Duration = Duration::from_millis(5);

/// The gates of one actor. They belong to a tenure: after an operator's restart there are others, since what hangs may
/// never give its permits back.
#[derive(Debug)]
pub(super) struct Gates(Vec<Gate>);

#[derive(Debug)]
struct Gate {
    class: Class,
    bulkhead: Bulkhead,
    breaker: Breaker,
}

/// What one class of an actor's operations has to do, and how much it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Load {
    /// The class.
    pub class: Class,
    /// Requests in flight.
    pub in_flight: usize,
    /// Requests that wait for one of those to end.
    pub waiting: usize,
    /// The bounds on both.
    pub limits: Limits,
    /// The circuit breaker.
    pub breaker: BreakerState,
}

/// The leave to do one thing: what it needs, and what it must tell.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) permit: Permit,
    pub(super) attempt: Attempt,
}

impl Gates {
    pub(super) fn new(actor: &Arc<str>, limits: &[(Class, Limits)]) -> Self {
        let gate = |(class, limits): &(Class, Limits)| Gate {
            class: *class,
            bulkhead: Bulkhead::new(*limits),
            breaker: Breaker::new(actor, *class),
        };
        Self(limits.iter().map(gate).collect())
    }

    fn gate(&self, class: Class) -> Result<&Gate, Refused> {
        self.0.iter().find(|gate| gate.class == class).ok_or_else(|| {
            tracing::error!(
                class = class.as_str(),
                "the actor was started without this class of operations"
            );
            Refused::Closed
        })
    }

    /// Whether a circuit is open.
    pub(super) fn check(&self, class: Class) -> Result<(), Refused> {
        self.gate(class)?.breaker.check()
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    /// As [`Bulkhead::admit`].
    pub(super) async fn pass(&self, class: Class, deadline: Instant) -> Result<Pass, Refused> {
        let gate = self.gate(class)?;
        let permit = gate.bulkhead.admit(deadline).await?;
        // It may have opened meanwhile.
        let attempt = gate.breaker.admit()?;
        Ok(Pass { permit, attempt })
    }

    pub(super) fn load(&self) -> Vec<Load> {
        self.0
            .iter()
            .map(|gate| Load {
                class: gate.class,
                in_flight: gate.bulkhead.in_flight(),
                waiting: gate.bulkhead.waiting(),
                limits: gate.bulkhead.limits(),
                breaker: gate.breaker.state(),
            })
            .collect()
    }

    /// Waits until nothing is in flight, at most until `deadline`; nothing is admitted while the result is held.
    pub(super) async fn drained(&self, deadline: Instant) -> Option<Vec<OwnedSemaphorePermit>> {
        join_all(self.0.iter().map(|gate| gate.bulkhead.drained(deadline)))
            .await
            .into_iter()
            .collect()
    }

    /// Admits nothing any more.
    pub(super) fn close(&self) {
        self.0.iter().for_each(|gate| gate.bulkhead.close());
    }

    /// Waits until nothing is in flight, at most until `deadline`.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub(super) async fn emptied(&self, deadline: Instant) {
        while self.in_flight() > 0 && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.0.iter().map(|gate| gate.bulkhead.in_flight()).sum()
    }

    /// How many asks there can be in a mailbox at once.
    pub(super) fn permits(&self) -> usize {
        self.0.iter().map(|gate| gate.bulkhead.limits().in_flight).sum()
    }
}
