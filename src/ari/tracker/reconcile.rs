//! What a look at everything that lives on Asterisk says of the calls: after a connection was lost, when events were
//! dropped, and where a request was not answered.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{CallTracker, advance, end};
use crate::ari::event::{Bridge, Channel};
use crate::call::{Call, CallId, CallState, MARGIN};

impl CallTracker {
    /// Everything that lives on Asterisk at `asked_at`. Says which calls that changed: channels that are not there
    /// any more ended without our seeing it.
    pub(in crate::ari) fn reconcile(
        &mut self,
        channels: &[Channel],
        bridges: &[Bridge],
        asked_at: Instant,
        at: Timestamp,
    ) -> Vec<Arc<Call>> {
        let mut touched: Vec<CallId> = Vec::new();
        let live: HashMap<&str, &Channel> = channels
            .iter()
            .map(|channel| (channel.id.as_str(), channel))
            .collect();
        // A channel is in one bridge at most. Looked up, not searched for: the event socket waits meanwhile.
        let bridge_of: HashMap<&str, &Bridge> = bridges
            .iter()
            .flat_map(|bridge| {
                bridge
                    .channels
                    .iter()
                    .map(move |channel| (channel.as_str(), bridge))
            })
            .collect();
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            let first = id.to_string();
            let silent = self
                .calls
                .get(&id)
                .is_some_and(|tracked| tracked.unseen_since(asked_at));
            if let Some(channel) = live.get(first.as_str()) {
                touched.extend(self.observe(id, channel, at));
            } else if silent {
                touched.extend(self.unseen(id, at));
            }
            if let Some(bridge) = bridge_of.get(first.as_str()) {
                touched.extend(self.recognise_peer(id, bridge, &live, at));
                touched.extend(self.bridged(id, bridge, at));
            }
            if silent {
                touched.extend(self.end_missing_legs(id, &live, at));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched.into_iter().filter_map(|id| self.changed(id)).collect()
    }

    /// Closes calls of which nothing can become known any more, while Asterisk cannot be asked.
    pub(in crate::ari) fn expire(&mut self, now: Instant, at: Timestamp) -> Vec<Arc<Call>> {
        let ids: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, tracked)| tracked.unseen_since(now))
            .map(|(id, _)| *id)
            .collect();
        let touched: Vec<CallId> = ids.into_iter().filter_map(|id| self.unseen(id, at)).collect();
        touched.into_iter().filter_map(|id| self.changed(id)).collect()
    }

    /// The second leg, where its `Dial` was missed: the one other channel in the bridge, unless it is another call's.
    /// More than two are a conference, which tells nothing.
    fn recognise_peer(
        &mut self,
        id: CallId,
        bridge: &Bridge,
        live: &HashMap<&str, &Channel>,
        at: Timestamp,
    ) -> Option<CallId> {
        let first = id.to_string();
        let [one, other] = bridge.channels.as_slice() else {
            return None;
        };
        let peer = if *one == first { other } else { one };
        let channel = live.get(peer.as_str())?;
        let owner = *self.channels.entry(peer.clone()).or_insert(id);
        (owner == id).then(|| self.observe(id, channel, at)).flatten()
    }

    /// Asterisk shows nothing of the call, and never has.
    fn unseen(&mut self, id: CallId, at: Timestamp) -> Option<CallId> {
        let grace = self.ring_timeout + MARGIN;
        let call = self.call_mut(id)?;
        if !call.legs.is_empty() {
            return None;
        }
        // Never false: it may have been and gone, so unknown is what it stays.
        let changed = advance(call, CallState::Unknown, at);
        call.closed = at > call.created_at + grace;
        (changed || call.closed).then_some(id)
    }

    /// Legs whose channels are not there ended unseen.
    fn end_missing_legs(
        &mut self,
        id: CallId,
        live: &HashMap<&str, &Channel>,
        at: Timestamp,
    ) -> Option<CallId> {
        let call = self.call_mut(id)?;
        let mut changed = false;
        for leg in &mut call.legs {
            if leg.ended_at.is_none() && !live.contains_key(leg.channel_id.as_str()) {
                leg.ended_at = Some(at);
                changed = true;
            }
        }
        if changed && !call.closed && call.legs.iter().all(|leg| leg.ended_at.is_some()) {
            call.error = Some("its end was not seen".to_owned());
            end(call, at);
        }
        changed.then_some(id)
    }
}
