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

use crate::call::CallId;
use crate::metric;
use crate::settings::AsteriskSettings;
use crate::telephony::TrunkName;

/// Beside the request's own time and the ringing, how long a call that nobody follows may still turn up.
pub(super) const MARGIN: Duration = Duration::from_secs(30);

/// The calls of one node, of every actor that leads there.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeCalls(Arc<Mutex<Vec<Carried>>>);

/// The calls that one actor placed, each with the time at which its slot was taken, among those that may live.
#[derive(Debug)]
struct Carried {
    trunk: TrunkName,
    node_limit: usize,
    trunk_limit: Option<usize>,
    calls: HashMap<CallId, Instant>,
    live: Gauge,
    limit: Gauge,
}

/// The calls of one Asterisk's actor, among all of its node. Cloning it gives another door to the same calls.
#[derive(Debug, Clone)]
pub struct LiveCalls {
    node: NodeCalls,
    /// The actor's place among those of the node.
    place: usize,
    patience: Duration,
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
        let gauge = |name: &'static str| metrics::gauge!(name, "actor" => actor.to_owned());
        let mut node = self.lock();
        node.push(Carried {
            trunk: settings.trunk.clone(),
            node_limit: settings.max_live_calls,
            trunk_limit: settings.trunk_limits.live_calls,
            calls: HashMap::new(),
            live: gauge(metric::LIVE_CALLS),
            limit: gauge(metric::LIVE_CALLS_LIMIT),
        });
        record(&node);
        LiveCalls {
            node: self.clone(),
            place: node.len() - 1,
            patience: settings.request_timeout() + settings.ring_timeout() + MARGIN,
        }
    }
}

impl LiveCount {
    /// As one of the node's actors sees it.
    fn of(node: &[Carried], own: &Carried) -> Self {
        let on_trunk = node.iter().filter(|carried| carried.trunk == own.trunk);
        Self {
            node: node.iter().map(|carried| carried.calls.len()).sum(),
            node_limit: own.node_limit,
            trunk: on_trunk.map(|carried| carried.calls.len()).sum(),
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
fn record(node: &[Carried]) {
    for own in node {
        let room = LiveCount::of(node, own).room().unwrap_or(0);
        own.live.set(own.calls.len() as f64);
        own.limit.set((own.calls.len() + room) as f64);
    }
}

impl LiveCalls {
    /// Changes what this actor carries.
    fn change<T>(&self, node: &mut [Carried], change: impl FnOnce(&mut HashMap<CallId, Instant>) -> T) -> T {
        let changed = change(&mut node[self.place].calls);
        record(node);
        changed
    }

    /// Takes a slot for a call that is about to be asked for.
    pub(super) fn take(&self, call: CallId) -> Result<(), Full> {
        let mut node = self.node.lock();
        LiveCount::of(&node, &node[self.place]).room()?;
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
        let node = self.node.lock();
        LiveCount::of(&node, &node[self.place])
    }
}

#[cfg(test)]
mod tests;
