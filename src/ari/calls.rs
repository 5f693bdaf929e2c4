//! The calls of one Asterisk's actor: each with its slot among those that live, followed to its end, and told to the ledger.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::connection::Snapshot;
use super::event::Event;
use super::live_calls::{Full, LiveCalls, LiveCount};
use super::messages::Originate;
use super::tracker::{CallTracker, Outcome};
use crate::call::{Call, CallId, CallState, Journal};

/// The calls of one life of an actor. The slots and the journal outlive it.
#[derive(Debug)]
pub(super) struct Calls {
    tracker: CallTracker,
    live: LiveCalls,
    journal: Journal,
}

impl Calls {
    pub(super) fn new(tracker: CallTracker, live: LiveCalls, journal: Journal) -> Self {
        Self {
            tracker,
            live,
            journal,
        }
    }

    /// From now on, calls are this gateway's.
    pub(super) fn name_instance(&mut self, instance: &str) {
        self.tracker.name_instance(instance);
    }

    /// How many are not over.
    pub(super) fn len(&self) -> usize {
        self.tracker.len()
    }

    /// How many live, and may, on the node and the trunk.
    pub(super) fn live(&self) -> LiveCount {
        self.live.count()
    }

    /// The channel whose end is the call's.
    pub(super) fn channel_to_end(&self, id: CallId) -> String {
        self.tracker.channel_to_end(id)
    }

    /// Whether Asterisk has to be asked, as no event may tell: of a call of which it has shown nothing yet or the end of one
    /// leg only, or of one that has a slot and is not followed.
    pub(super) fn are_in_doubt(&self) -> bool {
        self.tracker.has_doubtful() || self.has_strays()
    }

    /// Whether there are slots of calls that nobody follows: of an earlier life, of which the ledger has not told yet or
    /// never can, or of those that stayed unknown.
    fn has_strays(&self) -> bool {
        self.live.own() > self.tracker.len()
    }

    /// A request is about to leave, if there is a slot for its call.
    pub(super) fn begin(&mut self, request: &Originate, at: Timestamp) -> Result<CallId, Full> {
        let id = CallId::mint();
        self.live.take(id)?;
        let Originate { extension, number } = request;
        let call = self.tracker.begin(id, extension, number, at);
        self.journal.record(call);
        Ok(id)
    }

    /// A request has ended.
    pub(super) fn settle(&mut self, id: CallId, outcome: Outcome, at: Timestamp, now: Instant) {
        let changed = self.tracker.settle(id, outcome, at, now);
        self.record(changed);
    }

    /// An event.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp, now: Instant) {
        let changed = self.tracker.apply(event, at, now);
        self.record(changed);
    }

    /// Takes over calls of an earlier life, see [`CallTracker::adopt`]. They live, be there room for them or not.
    pub(super) fn adopt(&mut self, calls: Vec<Call>, now: Instant, settled_at: Instant) {
        for call in &calls {
            self.live.adopt(call.id);
        }
        self.tracker.adopt(calls, now, settled_at);
    }

    /// Holds the calls against everything that lives on Asterisk. Says how many slots it freed of calls that nobody followed.
    pub(super) fn reconcile(&mut self, snapshot: &Snapshot, at: Timestamp) -> usize {
        let Snapshot {
            channels,
            bridges,
            asked_at,
        } = snapshot;
        let changed = self.tracker.reconcile(channels, bridges, *asked_at, at);
        self.record(changed);
        if !self.has_strays() {
            return 0;
        }
        let shown: HashSet<&str> = channels.iter().map(|channel| channel.id.as_str()).collect();
        self.live.keep(*asked_at, |id| {
            self.tracker.follows(id) || shown.contains(id.to_string().as_str())
        })
    }

    /// Closes those of which nothing can become known any more, while Asterisk cannot be asked.
    pub(super) fn expire(&mut self, now: Instant, at: Timestamp) {
        let changed = self.tracker.expire(now, at);
        self.record(changed);
    }

    /// Takes note of what became of calls. One that is over gives its slot back; one that stayed unknown may live all the
    /// same, and keeps it until Asterisk was asked.
    fn record(&self, changed: impl IntoIterator<Item = Arc<Call>>) {
        for call in changed {
            // First, so that whoever reads of its end finds its slot free.
            if call.closed && call.state != CallState::Unknown {
                self.live.release(call.id);
            }
            self.journal.record(call);
        }
    }
}

#[cfg(test)]
mod tests;
