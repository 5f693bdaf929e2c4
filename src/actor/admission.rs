//! Admission control: permits and a circuit breaker for each class of an actor's operations.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::breaker::{Attempt, Breaker, BreakerState};
use super::bulkhead::{Bulkhead, Limits, Permit};
use super::class::Class;
use super::client::ClientId;
use super::refused::Refused;

/// How often to check whether anything is in flight still.
const POLL: Duration = Duration::from_millis(5);

/// The admission control of one actor. It belongs to an incarnation: after an operator's restart there is another, since what
/// hangs may never give its permits back.
#[derive(Debug)]
pub(super) struct Admission(Vec<ClassAdmission>);

#[derive(Debug)]
struct ClassAdmission {
    class: Class,
    bulkhead: Bulkhead,
    breaker: Breaker,
}

/// What one class of an actor's operations has to do, and how much it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// One request that was let in: the permit that its work holds, and the attempt that is told how it ended.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) attempt: Attempt,
}

impl Admission {
    pub(super) fn new(actor: &Arc<str>, limits: &[(Class, Limits)]) -> Self {
        let of_class = |(class, limits): &(Class, Limits)| ClassAdmission {
            class: *class,
            bulkhead: Bulkhead::new(*limits),
            breaker: Breaker::new(actor, *class),
        };
        Self(limits.iter().map(of_class).collect())
    }

    fn of(&self, class: Class) -> Result<&ClassAdmission, Refused> {
        self.0.iter().find(|own| own.class == class).ok_or_else(|| {
            tracing::error!(
                class = class.as_str(),
                "the actor was started without this class of operations"
            );
            Refused::Closed
        })
    }

    /// Whether a circuit is open.
    pub(super) fn check(&self, class: Class) -> Result<(), Refused> {
        self.of(class)?.breaker.check()
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    /// As [`Bulkhead::admit`].
    pub(super) async fn admit(
        &self,
        class: Class,
        of: Option<&ClientId>,
        deadline: Instant,
    ) -> Result<Admitted, Refused> {
        let own = self.of(class)?;
        let permit = own.bulkhead.admit(of.cloned(), deadline).await?;
        // It may have opened meanwhile.
        let attempt = own.breaker.admit()?;
        Ok(Admitted { permit, attempt })
    }

    pub(super) fn load(&self) -> Vec<Load> {
        self.0
            .iter()
            .map(|own| Load {
                class: own.class,
                in_flight: own.bulkhead.in_flight(),
                waiting: own.bulkhead.waiting(),
                limits: own.bulkhead.limits(),
                breaker: own.breaker.state(),
            })
            .collect()
    }

    /// Waits until nothing is in flight, at most until `deadline`; nothing is admitted while the result is held.
    pub(super) async fn drained(&self, deadline: Instant) -> Option<Vec<OwnedSemaphorePermit>> {
        join_all(self.0.iter().map(|class| class.bulkhead.drained(deadline)))
            .await
            .into_iter()
            .collect()
    }

    /// Admits nothing any more.
    pub(super) fn close(&self) {
        self.0.iter().for_each(|class| class.bulkhead.close());
    }

    /// Waits until nothing is in flight, at most until `deadline`.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub(super) async fn emptied(&self, deadline: Instant) {
        while self.in_flight() > 0 && Instant::now() < deadline {
            sleep(POLL).await;
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.0.iter().map(|class| class.bulkhead.in_flight()).sum()
    }

    /// How many asks there can be in a mailbox at once.
    pub(super) fn permits(&self) -> usize {
        self.0.iter().map(|class| class.bulkhead.limits().in_flight).sum()
    }
}
