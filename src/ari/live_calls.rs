//! The calls that live at once on a node and on each of its trunks: which there are, and how many there may be.
//!
//! Kept outside the actors, because a call outlives the actor that placed it: a rebuilt actor finds every slot taken that
//! is taken in truth. A slot is taken before the request leaves and let go when the call is over. What an earlier life left
//! behind, and nobody follows, goes as soon as Asterisk does not show it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use serde::Serialize;
use tokio::time::Instant;

use crate::ledger::CallId;
use crate::metric;
use crate::settings::AsteriskSettings;
use crate::telephony::TrunkName;

/// Beside the request's own time and the ringing, how long a call that nobody follows may still turn up.
pub(super) const MARGIN: Duration = Duration::from_secs(30);

/// The calls of one node, of every actor that leads there.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeCalls(Arc<Mutex<Vec<Carried>>>);

/// The calls that one actor placed, each with the time at which its slot was taken.
#[derive(Debug)]
struct Carried {
    trunk: TrunkName,
    calls: HashMap<CallId, Instant>,
}

/// The calls of one Asterisk's actor, among all of its node. Cloning it gives another door to the same calls.
#[derive(Debug, Clone)]
pub struct LiveCalls {
    node: NodeCalls,
    /// The actor's place among those of the node.
    place: usize,
    trunk: TrunkName,
    node_limit: usize,
    trunk_limit: Option<usize>,
    patience: Duration,
    gauge: Gauge,
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
pub(super) struct LiveCount {
    node: usize,
    node_limit: usize,
    trunk: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk_limit: Option<usize>,
}

impl NodeCalls {
    fn lock(&self) -> MutexGuard<'_, Vec<Carried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more actor of the node.
    pub(super) fn join(&self, actor: &str, settings: &AsteriskSettings) -> LiveCalls {
        let mut node = self.lock();
        node.push(Carried {
            trunk: settings.trunk.clone(),
            calls: HashMap::new(),
        });
        let trunk_limit = settings.trunk_limits.live_calls;
        let limit = trunk_limit.map_or(settings.max_live_calls, |limit| {
            limit.min(settings.max_live_calls)
        });
        metrics::gauge!(metric::LIVE_CALLS_LIMIT, "actor" => actor.to_owned()).set(limit as f64);
        LiveCalls {
            node: self.clone(),
            place: node.len() - 1,
            trunk: settings.trunk.clone(),
            node_limit: settings.max_live_calls,
            trunk_limit,
            patience: settings.request_timeout() + settings.ring_timeout() + MARGIN,
            gauge: metrics::gauge!(metric::LIVE_CALLS, "actor" => actor.to_owned()),
        }
    }
}

impl LiveCalls {
    fn count_in(&self, node: &[Carried]) -> LiveCount {
        let on_trunk = node.iter().filter(|carried| carried.trunk == self.trunk);
        LiveCount {
            node: node.iter().map(|carried| carried.calls.len()).sum(),
            node_limit: self.node_limit,
            trunk: on_trunk.map(|carried| carried.calls.len()).sum(),
            trunk_limit: self.trunk_limit,
        }
    }

    /// Changes what this actor carries.
    fn change<T>(&self, node: &mut [Carried], change: impl FnOnce(&mut HashMap<CallId, Instant>) -> T) -> T {
        let calls = &mut node[self.place].calls;
        let changed = change(calls);
        self.gauge.set(calls.len() as f64);
        changed
    }

    /// Takes a slot for a call that is about to be asked for.
    pub(super) fn take(&self, call: CallId) -> Result<(), Full> {
        let mut node = self.node.lock();
        let count = self.count_in(&node);
        if count.node >= self.node_limit {
            return Err(Full::Node);
        }
        if self.trunk_limit.is_some_and(|limit| count.trunk >= limit) {
            return Err(Full::Trunk);
        }
        self.change(&mut node, |calls| calls.insert(call, Instant::now()));
        Ok(())
    }

    /// Takes a slot for a call that lives already, be there room or not.
    pub(super) fn adopt(&self, call: CallId) {
        let mut node = self.node.lock();
        self.change(&mut node, |calls| {
            calls.entry(call).or_insert_with(Instant::now);
        });
    }

    /// The call is over. It may be told again.
    pub(super) fn release(&self, call: CallId) {
        let mut node = self.node.lock();
        self.change(&mut node, |calls| calls.remove(&call));
    }

    /// Lets go of the actor's calls of which `lives` says that they do not, by what Asterisk was asked at `asked_at`. Not of
    /// those whose request may not have reached it by then. Says how many those were.
    pub(super) fn keep(&self, asked_at: Instant, lives: impl Fn(CallId) -> bool) -> usize {
        let mut node = self.node.lock();
        self.change(&mut node, |calls| {
            let before = calls.len();
            calls.retain(|call, taken_at| asked_at < *taken_at + self.patience || lives(*call));
            before - calls.len()
        })
    }

    /// Whether the actor carries this call.
    #[must_use]
    pub fn holds(&self, call: CallId) -> bool {
        self.node.lock()[self.place].calls.contains_key(&call)
    }

    /// How many calls the actor carries.
    pub(super) fn own(&self) -> usize {
        self.node.lock()[self.place].calls.len()
    }

    /// How many live on the node and on the trunk, whoever placed them.
    pub(super) fn count(&self) -> LiveCount {
        self.count_in(&self.node.lock())
    }
}

#[cfg(test)]
mod tests;
