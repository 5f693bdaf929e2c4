//! The calls of one Asterisk's actor: each with its slot among those that live, followed to its end, and recorded.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::connection::Snapshot;
use super::event::Event;
use super::messages::Originate;
use super::tracker::{CallTracker, Outcome};
use crate::call::{Call, CallId, Full, LiveCalls, LiveCount};

/// The calls of one incarnation of an actor. The slots outlive it.
#[derive(Debug)]
pub(super) struct Calls {
    tracker: CallTracker,
    live: LiveCalls,
    integration: String,
    /// This gateway among those on the same ledger; empty until it is known, and then nothing has left yet.
    instance: String,
}

impl Calls {
    /// Those of earlier incarnations are followed on: their requests may be under way until `requests_end_at`.
    pub(super) fn new(
        mut tracker: CallTracker,
        live: LiveCalls,
        integration: &str,
        requests_end_at: Instant,
    ) -> Self {
        tracker.adopt(live.open(), Instant::now(), requests_end_at);
        Self {
            tracker,
            live,
            integration: integration.to_owned(),
            instance: String::new(),
        }
    }

    /// From now on, calls are this gateway's.
    pub(super) fn name_instance(&mut self, instance: &str) {
        self.instance = instance.to_owned();
    }

    /// How many are not over.
    pub(super) fn len(&self) -> usize {
        self.tracker.len()
    }

    /// How many live, and may, on the node and the trunk.
    pub(super) fn live(&self) -> LiveCount {
        self.live.count()
    }

    /// Whether Asterisk has to be asked, as no event may tell: of a call of which it has shown nothing yet or the end of one
    /// leg only, or of one that has a slot and is not followed.
    pub(super) fn are_uncertain(&self) -> bool {
        self.tracker.has_uncertain() || self.has_orphans()
    }

    /// Whether there are slots of calls that nobody follows: of those that stayed unknown.
    fn has_orphans(&self) -> bool {
        self.live.len() > self.tracker.len()
    }

    /// A request is about to leave, if there is a slot for its call.
    pub(super) fn begin(&mut self, request: &Originate, at: Timestamp) -> Result<(), Full> {
        let call = Arc::new(Call {
            instance: self.instance.clone(),
            extension: Some(request.extension.to_string()),
            number: Some(request.number.to_string()),
            external_number: request.number.e164().map(str::to_owned),
            requested_by: Some(request.requested_by.clone()),
            ..Call::new(request.call_id, &self.integration, at)
        });
        self.live.begin(Arc::clone(&call))?;
        self.tracker.begin(call);
        Ok(())
    }

    /// A request has ended.
    pub(super) fn end_request(&mut self, id: CallId, outcome: Outcome, at: Timestamp, now: Instant) {
        let changed = self.tracker.end_request(id, outcome, at, now);
        self.record(changed);
    }

    /// An event.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp, now: Instant) {
        let changed = self.tracker.apply(event, at, now);
        self.record(changed);
    }

    /// Takes over the calls that an earlier process left, see [`CallTracker::adopt`].
    pub(super) fn recover(&mut self, calls: Vec<Call>, now: Instant, requests_end_at: Instant) {
        // What this process began it knows better.
        let earlier = calls.into_iter().filter(|call| call.created_at < self.live.since);
        let calls: Vec<Arc<Call>> = earlier.map(Arc::new).collect();
        self.live.recover(calls.iter().cloned());
        self.tracker.adopt(calls, now, requests_end_at);
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
        if !self.has_orphans() {
            return 0;
        }
        let shown: HashSet<&str> = channels.iter().map(|channel| channel.id.as_str()).collect();
        self.live.retain(*asked_at, |id| {
            self.tracker.follows(id) || shown.contains(id.to_string().as_str())
        })
    }

    /// Closes those of which nothing can become known any more, while Asterisk cannot be asked.
    pub(super) fn expire(&mut self, now: Instant, at: Timestamp) {
        let changed = self.tracker.expire(now, at);
        self.record(changed);
    }

    fn record(&self, changed: impl IntoIterator<Item = Arc<Call>>) {
        for call in changed {
            self.live.record(call);
        }
    }
}

#[cfg(test)]
mod tests;
