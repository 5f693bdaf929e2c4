//! What is known of an actor from outside, readable while the actor itself hangs.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::metric;
use crate::words::words;

/// How many restarts are remembered with their reasons.
const RESTARTS: usize = 10;

words! {
    /// The state of an actor, as its supervisor sees it.
    State: Default {
        /// Not built yet.
        #[default]
        Starting = "starting",
        /// Built and answering.
        Running = "running",
        /// Ended by a failure; the next build waits for the back-off.
        BackingOff = "backing_off",
        /// Being replaced, since an operator asked for it.
        Restarting = "restarting",
        /// Its thread sends no heartbeat: something in it blocks. It may come back by itself; an operator can replace it.
        Unresponsive = "unresponsive",
        /// Failed more often than its restart budget allows, or its supervisor died, or no thread could be had for it; stays
        /// down until an operator restarts it.
        Failed = "failed",
        /// Stopped on purpose.
        Stopped = "stopped",
    }
}

words! {
    /// Why an actor was built again.
    RestartReason {
        /// It panicked.
        Panic = "panic",
        /// It stopped by itself.
        Stopped = "stopped",
        /// An operator asked for it.
        Operator = "operator",
        /// An actor that it depends on was built again.
        Dependency = "dependency",
    }
}

/// One restart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Restart {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: RestartReason,
}

/// A snapshot of one actor's health.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// The supervisor's view.
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// How often it was built again.
    pub restarts: u64,
    /// The latest of those, the newest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    #[schema(value_type = Vec<Restart>)]
    pub latest_restarts: VecDeque<Restart>,
    /// How many panics were caught in it, in its handlers and in the work it detached.
    pub panics: u64,
    /// The latest failure, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What the actor itself publishes: connection, trunks, watermarks. No secrets, no phone numbers.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
    /// Whether the actor says that it can do its work; not before it says so.
    pub usable: bool,
    /// Since when an operator has it refuse all work but hang-ups; absent when none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Timestamp>,
    /// Threads that were left behind because something in them blocks, and still does.
    pub blocked_threads: usize,
    /// How often it was built.
    #[serde(skip)]
    pub(super) instance: u64,
}

impl HealthReport {
    /// Whether the actor runs and says that it can do its work, and nobody has paused it.
    pub fn is_usable(&self) -> bool {
        self.state == State::Running && self.usable && self.paused_since.is_none()
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
        self.since = Timestamp::now();
    }
}

/// One actor's health: written by its supervisor and by the actor, read by anybody.
#[derive(Debug, Clone)]
pub struct Health {
    name: Arc<str>,
    report: Arc<watch::Sender<HealthReport>>,
    /// Which instance of the actor this belongs to. What an earlier one says is ignored.
    instance: u64,
}

impl Health {
    /// The health of an actor that is yet to start.
    pub fn new(name: &str) -> Self {
        for &reason in RestartReason::ALL {
            metric::actor_restarts(name.to_owned(), reason.as_str()).increment(0);
        }
        metric::actor_panics(name.to_owned()).increment(0);
        let report = HealthReport {
            since: Timestamp::now(),
            ..HealthReport::default()
        };
        Self {
            name: name.into(),
            report: Arc::new(watch::Sender::new(report)),
            instance: 0,
        }
    }

    /// The same for the actor's next instance, of which nothing is known yet.
    pub(super) fn next_instance(&self) -> Self {
        self.report.send_modify(|report| {
            report.instance += 1;
            report.usable = false;
        });
        Self {
            instance: self.report.borrow().instance,
            ..self.clone()
        }
    }

    /// As [`next_instance`](Self::next_instance), unless this instance was replaced already.
    pub(super) fn replacement(&self) -> Option<Self> {
        let current = self.modify(|report| {
            report.instance += 1;
            report.usable = false;
        });
        current.then(|| Self {
            instance: self.instance + 1,
            ..self.clone()
        })
    }

    /// The actor's name, such as `asterisk.main`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The state of things now.
    pub fn report(&self) -> HealthReport {
        self.report.borrow().clone()
    }

    /// The supervisor's view, and whether the actor is paused.
    pub(super) fn state_and_paused(&self) -> (State, bool) {
        let report = self.report.borrow();
        (report.state, report.paused_since.is_some())
    }

    /// Whether the actor runs and says that it can do its work.
    pub fn is_usable(&self) -> bool {
        self.report.borrow().is_usable()
    }

    /// Waits until the actor is in `state`.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn reached(&self, state: State) {
        self.became(|report| report.state == state).await;
    }

    /// Waits until the actor says that it can do its work.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn became_usable(&self) {
        self.became(|report| report.usable).await;
    }

    /// Waits until the actor has published something of its integration, good or bad.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn has_published(&self) {
        self.became(|report| !report.detail.is_null()).await;
    }

    /// Waits until no operator has the actor paused.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn resumed(&self) {
        self.became(|report| report.paused_since.is_none()).await;
    }

    /// Which instance the actor is; one that was not built yet is the first.
    pub(super) fn current_instance(&self) -> u64 {
        self.report.borrow().instance.max(1)
    }

    /// Waits until the actor is a later instance than this.
    pub(super) async fn replaced(&self, instance: u64) {
        self.became(|report| report.instance > instance).await;
    }

    async fn became(&self, condition: impl FnMut(&HealthReport) -> bool) {
        let mut changes = self.report.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = changes.wait_for(condition).await;
    }

    /// Publishes what the actor knows of its integration, and whether it can do its work.
    pub fn publish<T: Serialize>(&self, usable: bool, detail: &T) {
        let detail = serde_json::to_value(detail).unwrap_or_default();
        self.modify(|report| {
            report.usable = usable;
            report.detail = detail;
        });
    }

    /// Changes the report, unless it is about a later instance; says whether it did.
    fn modify(&self, change: impl FnOnce(&mut HealthReport)) -> bool {
        self.report.send_if_modified(|report| {
            let current = report.instance == self.instance;
            if current {
                change(report);
            }
            current
        })
    }

    /// Sets the state, unless this instance was replaced.
    pub(super) fn set_state(&self, state: State) {
        self.modify(|report| report.set_state(state));
    }

    /// Sets the state, whatever instance it is.
    pub(super) fn force(&self, state: State) {
        self.report.send_modify(|report| report.set_state(state));
    }

    /// Goes from one of some states to another, unless it is in none of those.
    pub(super) fn transition(&self, from: &[State], to: State) -> bool {
        self.report.send_if_modified(|report| {
            let fits = from.contains(&report.state);
            if fits {
                report.set_state(to);
            }
            fits
        })
    }

    /// Has it paused or not; says whether that is a change.
    pub(super) fn pause(&self, paused: bool) -> bool {
        let changed = self.report.send_if_modified(|report| {
            let changes = report.paused_since.is_some() != paused;
            if changes {
                report.paused_since = paused.then(Timestamp::now);
            }
            changes
        });
        if changed {
            let done = if paused { "paused" } else { "resumed" };
            tracing::warn!(actor = %self.name, "{done} by an operator");
        }
        changed
    }

    pub(super) fn count_blocked_thread(&self) {
        self.report.send_modify(|report| report.blocked_threads += 1);
    }

    pub(super) fn count_freed_thread(&self) {
        self.report
            .send_modify(|report| report.blocked_threads = report.blocked_threads.saturating_sub(1));
    }

    pub(super) fn count_restart(&self, reason: RestartReason) {
        metric::actor_restarts(self.name.to_string(), reason.as_str()).increment(1);
        self.report.send_modify(|report| {
            report.restarts += 1;
            report.latest_restarts.truncate(RESTARTS - 1);
            let at = Timestamp::now();
            report.latest_restarts.push_front(Restart { at, reason });
        });
    }

    pub(super) fn count_failure(&self, error: &str) {
        tracing::error!(actor = %self.name, error, "actor failed");
        self.report
            .send_modify(|report| report.last_error = Some(error.to_owned()));
    }

    /// What came of a request that counts against the integration. How many there are the metrics say.
    pub(super) fn record_error(&self, operation: &'static str, error: &impl Display) {
        tracing::debug!(actor = %self.name, operation, %error, "request failed");
        self.report
            .send_modify(|report| report.last_error = Some(format!("{operation}: {error}")));
    }

    pub(super) fn count_panic(&self, place: &'static str, message: &str) {
        tracing::error!(actor = %self.name, place, message, "panic caught");
        metric::actor_panics(self.name.to_string()).increment(1);
        self.report.send_modify(|report| {
            report.panics += 1;
            report.last_error = Some(format!("panic in {place}: {message}"));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_usable_when_it_says_so_and_an_earlier_instance_has_no_say() {
        let health = Health::new("probe");
        let first = health.next_instance();
        assert!(!health.report().usable);
        first.publish(true, &"up");
        assert!(health.report().usable);
        let second = first.replacement().unwrap();
        assert!(!health.report().usable);
        first.publish(true, &"up, says what is left of the first");
        first.set_state(State::Failed);
        assert!(first.replacement().is_none(), "it was replaced");
        assert!(!health.report().usable);
        assert_eq!(health.report().state, State::Starting);
        second.publish(true, &"up");
        assert!(health.report().usable);
    }

    #[test]
    fn the_latest_restarts_are_remembered_with_their_reasons() {
        let health = Health::new("probe");
        for _ in 0..20 {
            health.count_restart(RestartReason::Panic);
        }
        health.count_restart(RestartReason::Operator);
        let report = health.report();
        assert_eq!((report.restarts, report.latest_restarts.len()), (21, RESTARTS));
        assert_eq!(report.latest_restarts[0].reason, RestartReason::Operator);
    }
}
