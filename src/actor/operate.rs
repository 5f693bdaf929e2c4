//! What operators see of every actor and do to it, whatever its type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actix::{Actor, Context};
use async_trait::async_trait;

use super::admission::Load;
use super::breaker::BreakerState;
use super::handle::ActorHandle;
use super::health::{Health, State};
use super::incarnation::Restarted;
use crate::metric;

/// A restart was not begun: one is under way already, or the gateway stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a restart is under way already")]
pub struct NotRestarted;

/// An actor as operators have it.
#[async_trait]
pub trait Operate: fmt::Debug + Send + Sync {
    /// What is known of it; never asks the actor itself.
    fn health(&self) -> &Health;

    /// What each class of its operations has to do.
    fn load(&self) -> Vec<Load>;

    /// Replaces the actor by another on a thread of its own: work in flight gets 5 s to end, nothing more is let in, and the
    /// others notice nothing. An actor that failed for good, or whose thread hangs, is replaced at once.
    ///
    /// # Errors
    /// When a restart is under way already.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the restart under way, without its report.
    async fn restart(&self) -> Result<Restarted, NotRestarted>;

    /// Has it refuse all work but control and hang-ups, until [`resume`](Self::resume); what is in flight ends as it would. Outlives the
    /// actor, not the process. Says whether that is a change.
    fn pause(&self) -> bool;

    /// Lets work in again; says whether that is a change.
    fn resume(&self) -> bool;
}

#[async_trait]
impl<A: Actor<Context = Context<A>>> Operate for ActorHandle<A> {
    fn health(&self) -> &Health {
        ActorHandle::health(self)
    }

    fn load(&self) -> Vec<Load> {
        ActorHandle::load(self)
    }

    async fn restart(&self) -> Result<Restarted, NotRestarted> {
        let restarted = self.request_restart().ok_or(NotRestarted)?;
        restarted.await.map_err(|_| NotRestarted)
    }

    fn pause(&self) -> bool {
        ActorHandle::health(self).pause(true)
    }

    fn resume(&self) -> bool {
        ActorHandle::health(self).pause(false)
    }
}

/// Every actor by its name.
#[derive(Debug, Clone, Default)]
pub struct ActorRegistry(Arc<BTreeMap<String, Arc<dyn Operate>>>);

impl FromIterator<Arc<dyn Operate>> for ActorRegistry {
    fn from_iter<T: IntoIterator<Item = Arc<dyn Operate>>>(actors: T) -> Self {
        let named = |actor: Arc<dyn Operate>| (actor.health().name().to_owned(), actor);
        Self(Arc::new(actors.into_iter().map(named).collect()))
    }
}

impl ActorRegistry {
    /// All actors in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Operate>> {
        self.0.values()
    }

    /// Brings the gauges of all actors up to date. They are read from what is, whenever somebody asks, rather than counted
    /// up and down.
    pub fn record_gauges(&self) {
        self.all().for_each(|actor| record(actor.as_ref()));
    }

    /// The actor of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Operate>> {
        self.0.get(name)
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn record(actor: &dyn Operate) {
    let report = actor.health().report();
    let name = || actor.health().name().to_owned();
    let yes = |whether: bool| f64::from(u8::from(whether));
    for &state in State::ALL {
        metric::actor_state(name(), state.as_str()).set(yes(report.state == state));
    }
    metric::actor_usable(name()).set(yes(report.is_usable()));
    metric::actor_paused(name()).set(yes(report.paused_since.is_some()));
    metric::blocked_threads(name()).set(report.blocked_threads as f64);
    for load in actor.load() {
        let class = load.class.as_str();
        metric::in_flight(name(), class).set(load.in_flight as f64);
        metric::in_flight_limit(name(), class).set(load.limits.in_flight as f64);
        metric::waiting(name(), class).set(load.waiting as f64);
        metric::waiting_limit(name(), class).set(load.limits.waiting as f64);
        let circuit = match load.breaker {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        metric::circuit_state(name(), class).set(circuit);
    }
}
