//! Where a call is: which calls live on each Asterisk, in their newest states, and how many there may be at once.
//!
//! Kept outside the actors, because a call outlives the actor that placed it: a rebuilt actor finds its calls here, and every
//! slot taken that is taken in truth, also while the ledger is away. A slot is taken before the request leaves and let go when
//! the call is over. What nobody follows goes as soon as Asterisk does not show it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::Gauge;
use serde::Serialize;
use tokio::time::Instant;

use super::id::CallId;
use super::journal::Journal;
use super::record::{Call, now};
use super::words::CallState;
use crate::metric;
use crate::settings::AsteriskSettings;
use crate::telephony::TrunkName;

/// Beside the request's own time and the ringing, how long a call that nobody follows may still turn up.
pub(crate) const MARGIN: Duration = Duration::from_secs(30);

/// The calls that live, of every Asterisk. Cloning it gives another handle to the same calls.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    journal: Journal,
    /// One for each Asterisk's actor.
    actors: Mutex<Vec<ActorCalls>>,
}

/// The calls that one actor placed, among those that may live.
#[derive(Debug)]
struct ActorCalls {
    node: (String, u16),
    trunk: TrunkName,
    node_limit: usize,
    trunk_limit: Option<usize>,
    calls: HashMap<CallId, Slot>,
    /// Whether those that an earlier process left are among them.
    recovered: bool,
    live: Gauge,
    limit: Gauge,
}

#[derive(Debug)]
struct Slot {
    call: Arc<Call>,
    taken_at: Instant,
}

/// The calls of one Asterisk's actor, among all. Cloning it gives another handle to the same calls.
#[derive(Debug, Clone)]
pub struct LiveCalls {
    registry: Registry,
    /// Of the actor, among all.
    index: usize,
    grace: Duration,
    /// Calls from before were begun by an earlier process.
    pub(crate) since: Timestamp,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many calls live on the node as may.
    #[error("as many calls live on the node as may")]
    Node,
    /// As many calls live on the trunk as may.
    #[error("as many calls live on the trunk as may")]
    Trunk,
}

/// How many calls live, and how many may, as `/status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct LiveCount {
    node: usize,
    node_limit: usize,
    trunk: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk_limit: Option<usize>,
}

impl Registry {
    /// One that puts what becomes of calls into this journal.
    pub fn new(journal: Journal) -> Self {
        Self(Arc::new(Inner {
            journal,
            actors: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ActorCalls>> {
        self.0.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the actor of one more Asterisk.
    pub fn register(&self, actor: &str, settings: &AsteriskSettings) -> LiveCalls {
        let node = settings.node();
        let mut actors = self.lock();
        actors.push(ActorCalls {
            node: node.clone(),
            trunk: settings.trunk.clone(),
            node_limit: settings.max_live_calls,
            trunk_limit: settings.trunk_limits.live_calls,
            calls: HashMap::new(),
            recovered: false,
            live: metric::live_calls(actor.to_owned()),
            limit: metric::live_calls_limit(actor.to_owned()),
        });
        update_gauges(&actors, &node);
        LiveCalls {
            registry: self.clone(),
            index: actors.len() - 1,
            grace: settings.request_timeout() + settings.ring_timeout() + MARGIN,
            since: now(),
        }
    }

    /// A call that lives, or may, as it is known now. None is a call of which the ledger may know more: one that is over, or
    /// that another gateway follows.
    pub fn get(&self, id: CallId) -> Option<Arc<Call>> {
        let actors = self.lock();
        let slot = actors.iter().find_map(|actor| actor.calls.get(&id));
        slot.map(|slot| Arc::clone(&slot.call))
    }
}

impl LiveCount {
    /// As one of the actors sees it.
    fn of(actors: &[ActorCalls], own: &ActorCalls) -> Self {
        let node = || actors.iter().filter(|actor| actor.node == own.node);
        let on_trunk = node().filter(|actor| actor.trunk == own.trunk);
        Self {
            node: node().map(|actor| actor.calls.len()).sum(),
            node_limit: own.node_limit,
            trunk: on_trunk.map(|actor| actor.calls.len()).sum(),
            trunk_limit: own.trunk_limit,
        }
    }

    /// How many more may live.
    fn room(self) -> Result<usize, Full> {
        let on_node = self.node_limit.saturating_sub(self.node);
        let on_trunk = self
            .trunk_limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(self.trunk));
        match (on_node, on_trunk) {
            (0, _) => Err(Full::Node),
            (_, 0) => Err(Full::Trunk),
            (on_node, on_trunk) => Ok(on_node.min(on_trunk)),
        }
    }
}

/// Brings the gauges of all actors of a node up to date: what one takes, the others may not have.
fn update_gauges(actors: &[ActorCalls], node: &(String, u16)) {
    for own in actors.iter().filter(|actor| actor.node == *node) {
        let room = LiveCount::of(actors, own).room().unwrap_or(0);
        own.live.set(own.calls.len() as f64);
        own.limit.set((own.calls.len() + room) as f64);
    }
}

impl LiveCalls {
    /// Changes which calls this actor has.
    fn change<T>(
        &self,
        actors: &mut [ActorCalls],
        change: impl FnOnce(&mut HashMap<CallId, Slot>) -> T,
    ) -> T {
        let changed = change(&mut actors[self.index].calls);
        update_gauges(actors, &actors[self.index].node);
        changed
    }

    /// Takes a slot for a call that is about to be asked for, and has the call recorded.
    pub(crate) fn begin(&self, call: Arc<Call>) -> Result<(), Full> {
        let mut actors = self.registry.lock();
        LiveCount::of(&actors, &actors[self.index]).room()?;
        self.change(&mut actors, |calls| calls.insert(call.id, Slot::of(&call)));
        self.registry.0.journal.record(call);
        Ok(())
    }

    /// Has a call recorded as it stands now. One that is over gives its slot back; one that stayed unknown may live all the
    /// same, and keeps it until Asterisk was asked.
    pub(crate) fn record(&self, call: Arc<Call>) {
        let mut actors = self.registry.lock();
        if call.closed && call.state != CallState::Unknown {
            self.change(&mut actors, |calls| calls.remove(&call.id));
        } else if let Some(slot) = actors[self.index].calls.get_mut(&call.id)
            // A thread that hung and comes back is behind the one that took its place.
            && slot.call.revision <= call.revision
        {
            slot.call = Arc::clone(&call);
        }
        // Under the lock: whoever reads of its end finds its slot free, and whoever finds no slot reads of its end.
        self.registry.0.journal.record(call);
    }

    /// Takes over the calls that an earlier process left. They live, be there room for them or not.
    pub(crate) fn recover(&self, calls: impl IntoIterator<Item = Arc<Call>>) {
        let mut actors = self.registry.lock();
        actors[self.index].recovered = true;
        self.change(&mut actors, |slots| {
            for call in calls {
                slots.entry(call.id).or_insert_with(|| Slot::of(&call));
            }
        });
    }

    /// Whether that was done.
    pub(crate) fn has_recovered(&self) -> bool {
        self.registry.lock()[self.index].recovered
    }

    /// Lets go of the actor's calls of which `lives` says that they do not, by what Asterisk was asked at `asked_at`. Not of
    /// those whose request may not have reached it by then. Says how many those were.
    pub(crate) fn retain(&self, asked_at: Instant, lives: impl Fn(CallId) -> bool) -> usize {
        let mut actors = self.registry.lock();
        self.change(&mut actors, |calls| {
            let before = calls.len();
            calls.retain(|call, slot| asked_at < slot.taken_at + self.grace || lives(*call));
            before - calls.len()
        })
    }

    /// The actor's calls of which something may become known.
    pub(crate) fn open(&self) -> Vec<Arc<Call>> {
        let actors = self.registry.lock();
        let calls = actors[self.index].calls.values().map(|slot| &slot.call);
        calls.filter(|call| !call.closed).cloned().collect()
    }

    /// How many calls the actor has.
    pub(crate) fn len(&self) -> usize {
        self.registry.lock()[self.index].calls.len()
    }

    /// How many live on the node and on the trunk, whoever placed them.
    pub(crate) fn count(&self) -> LiveCount {
        let actors = self.registry.lock();
        LiveCount::of(&actors, &actors[self.index])
    }
}

impl Slot {
    fn of(call: &Arc<Call>) -> Self {
        Self {
            call: Arc::clone(call),
            taken_at: Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests;
