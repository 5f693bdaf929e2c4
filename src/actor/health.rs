//! What is known of an actor from outside, readable while the actor itself hangs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::bulkhead::{Bulkhead, Limits};

use crate::metric;

/// An actor's life, as its supervisor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not built yet.
    Starting,
    /// Built and answering.
    Running,
    /// Ended by a failure; the next build waits for the back-off.
    BackingOff,
    /// Failed more often than its restart budget allows; stays down until an operator restarts it.
    Failed,
    /// Stopped on purpose.
    Stopped,
}

/// A snapshot of one actor's health.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthReport {
    /// The supervisor's view.
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// How often it was rebuilt after a failure.
    pub restarts: u64,
    /// How many panics were caught in it, in its handlers and in the work it detached.
    pub panics: u64,
    /// The latest failure, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What the actor itself publishes: connection, trunks, watermarks. No secrets, no phone numbers.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
    /// Whether the actor says that it can do its work; not before it says so.
    pub usable: bool,
    /// How often it was built.
    #[serde(skip)]
    pub(super) life: u64,
}

impl HealthReport {
    /// Whether the actor runs and says that it can do its work.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state == State::Running && self.usable
    }
}

/// What an actor has to do at the moment, and how much it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Load {
    /// Requests in flight.
    pub in_flight: usize,
    /// Requests that wait for one of those to end.
    pub waiting: usize,
    /// The bounds on both.
    pub limits: Limits,
}

/// One actor's health: written by its supervisor and by the actor, read by anybody.
#[derive(Debug, Clone)]
pub struct Health {
    name: Arc<str>,
    report: Arc<watch::Sender<HealthReport>>,
    bulkhead: Option<Bulkhead>,
    /// Which life of the actor this belongs to. What an earlier one left behind has nothing to say any more.
    life: u64,
}

impl Health {
    /// The health of an actor that is yet to start.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let report = HealthReport {
            state: State::Starting,
            since: Timestamp::now(),
            restarts: 0,
            panics: 0,
            last_error: None,
            detail: serde_json::Value::Null,
            usable: false,
            life: 0,
        };
        Self {
            name: name.into(),
            report: Arc::new(watch::Sender::new(report)),
            bulkhead: None,
            life: 0,
        }
    }

    /// The same for the actor's next life, of which nothing is known yet.
    pub(super) fn next_life(&self) -> Self {
        self.report.send_modify(|report| {
            report.life += 1;
            report.usable = false;
        });
        Self {
            life: self.report.borrow().life,
            ..self.clone()
        }
    }

    /// The same, with what bounds the actor's work.
    pub(super) fn with_bulkhead(self, bulkhead: Bulkhead) -> Self {
        Self {
            bulkhead: Some(bulkhead),
            ..self
        }
    }

    /// What the actor has to do, where its work is bounded.
    #[must_use]
    pub fn load(&self) -> Option<Load> {
        self.bulkhead.as_ref().map(|bulkhead| Load {
            in_flight: bulkhead.in_flight(),
            waiting: bulkhead.waiting(),
            limits: bulkhead.limits(),
        })
    }

    /// The actor's name, such as `asterisk.main`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state of things now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.report.borrow().clone()
    }

    /// Whether the actor runs and says that it can do its work.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.report.borrow().is_usable()
    }

    /// Waits until the actor is in `state`.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn reached(&self, state: State) {
        let mut changes = self.report.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = changes.wait_for(|report| report.state == state).await;
    }

    /// Waits until the actor says that it can do its work.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn became_usable(&self) {
        let mut changes = self.report.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = changes.wait_for(|report| report.usable).await;
    }

    /// Waits until the actor has said something of its integration, good or bad.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn said_something(&self) {
        let mut changes = self.report.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = changes.wait_for(|report| !report.detail.is_null()).await;
    }

    /// Publishes what the actor knows of its integration, and whether it can do its work.
    pub fn publish<T: Serialize>(&self, usable: bool, detail: &T) {
        let detail = serde_json::to_value(detail).unwrap_or_default();
        self.report.send_if_modified(|report| {
            let current = report.life == self.life;
            if current {
                report.usable = usable;
                report.detail = detail;
            }
            current
        });
    }

    pub(super) fn enter(&self, state: State) {
        self.report.send_modify(|report| {
            report.state = state;
            report.since = Timestamp::now();
        });
    }

    pub(super) fn count_restart(&self) {
        metrics::counter!(metric::ACTOR_RESTARTS, "actor" => self.name.to_string()).increment(1);
        self.report.send_modify(|report| report.restarts += 1);
    }

    pub(super) fn count_failure(&self, error: &str) {
        tracing::error!(actor = %self.name, error, "actor failed");
        self.report
            .send_modify(|report| report.last_error = Some(error.to_owned()));
    }

    pub(super) fn count_panic(&self, place: &'static str, message: &str) {
        tracing::error!(actor = %self.name, place, message, "panic caught");
        metrics::counter!(metric::ACTOR_PANICS, "actor" => self.name.to_string(), "place" => place)
            .increment(1);
        self.report.send_modify(|report| {
            report.panics += 1;
            report.last_error = Some(format!("panic in {place}: {message}"));
        });
    }
}

/// Every actor's health by name.
#[derive(Debug, Clone, Default)]
pub struct HealthBoard(Arc<Mutex<BTreeMap<String, Health>>>);

impl HealthBoard {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an actor on the board.
    pub fn add(&self, health: &Health) {
        self.entries().insert(health.name().to_owned(), health.clone());
    }

    /// All actors in the order of their names.
    #[must_use]
    pub fn all(&self) -> Vec<Health> {
        self.entries().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_usable_when_it_says_so_and_an_earlier_life_has_no_say() {
        let health = Health::new("probe");
        let first = health.next_life();
        assert!(!health.report().usable);
        first.publish(true, &"up");
        assert!(health.report().usable);
        let second = health.next_life();
        assert!(!health.report().usable);
        first.publish(true, &"up, says what is left of the first");
        assert!(!health.report().usable);
        second.publish(true, &"up");
        assert!(health.report().usable);
    }
}
