//! What becomes of the calls of one Asterisk. Pure: events and snapshots in, changed calls out.
//!
//! A call's first channel has the call's id. Its second one is known by the `Dial` whose caller is the first, or,
//! where that was missed, by the bridge it shares with it. Times are those at which the gateway learned of a thing,
//! so that one clock measures a call.

mod reconcile;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::event::{Bridge, Channel, ChannelState, DialStatus, Event};
use crate::call::{Call, CallId, CallState, Leg};
use crate::telephony::HangupCause;

/// The calls of one Asterisk that are not over.
#[derive(Debug)]
pub(super) struct CallTracker {
    ring_timeout: Duration,
    calls: HashMap<CallId, Tracked>,
    /// Which call a channel belongs to.
    channels: HashMap<String, CallId>,
}

#[derive(Debug)]
struct Tracked {
    /// The journal may hold it as it was: a change is then made to a copy.
    call: Arc<Call>,
    /// When Asterisk, or the end of the request, last said something of the call; none while the request is under
    /// way. A snapshot that was asked for earlier says nothing about what it does not show.
    last_seen_at: Option<Instant>,
}

impl Tracked {
    fn unseen_since(&self, asked_at: Instant) -> bool {
        self.last_seen_at
            .is_some_and(|last_seen_at| last_seen_at < asked_at)
    }
}

/// How a request to originate ended.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Asterisk took it, and showed the channel where its answer could be read.
    Accepted(Option<Channel>),
    /// Asterisk refused it.
    Rejected(String),
    /// It never left.
    NotSent(String),
    /// It left and was not answered.
    Unknown(String),
}

impl CallTracker {
    pub(super) fn new(ring_timeout: Duration) -> Self {
        Self {
            ring_timeout,
            calls: HashMap::new(),
            channels: HashMap::new(),
        }
    }

    /// How many calls are not over.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether it is one of them.
    pub(super) fn follows(&self, id: CallId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Whether there is a call of which Asterisk has shown nothing yet, or of which one leg has ended and not all of them: the
    /// end of the other may have been missed, or is none of our application's events.
    pub(super) fn has_uncertain(&self) -> bool {
        self.calls.values().any(|tracked| {
            let legs = &tracked.call.legs;
            legs.is_empty() || legs.iter().any(|leg| leg.ended_at.is_some())
        })
    }

    /// Takes over calls of an earlier incarnation, as they are known at `now`. A request of that one may still be under
    /// way until `requests_end_at`; not that of a call whose channel was seen.
    pub(super) fn adopt(&mut self, calls: Vec<Arc<Call>>, now: Instant, requests_end_at: Instant) {
        for call in calls {
            for leg in &call.legs {
                self.channels.insert(leg.channel_id.clone(), call.id);
            }
            self.channels.insert(call.id.to_string(), call.id);
            let last_seen_at = if call.legs.is_empty() {
                requests_end_at
            } else {
                now
            };
            self.calls.entry(call.id).or_insert(Tracked {
                call,
                last_seen_at: Some(last_seen_at),
            });
        }
    }

    /// A call's request is about to leave.
    pub(super) fn begin(&mut self, call: Arc<Call>) {
        self.channels.insert(call.id.to_string(), call.id);
        self.calls.insert(
            call.id,
            Tracked {
                call,
                last_seen_at: None,
            },
        );
    }

    /// A request has ended. Says how the call stands, where that changed.
    pub(super) fn end_request(
        &mut self,
        id: CallId,
        outcome: Outcome,
        at: Timestamp,
        now: Instant,
    ) -> Option<Arc<Call>> {
        let tracked = self.calls.get_mut(&id)?;
        tracked.last_seen_at = Some(now);
        let seen = tracked.call.state != CallState::Sent || !tracked.call.legs.is_empty();
        let (state, error) = match outcome {
            Outcome::Accepted(channel) => {
                let id = self.observe(id, &channel?, at)?;
                return self.changed(id);
            }
            // An event may have come before the answer: it says more than any answer.
            _ if seen => return None,
            Outcome::Unknown(error) => (CallState::Unknown, error),
            Outcome::Rejected(error) => (CallState::Rejected, error),
            Outcome::NotSent(error) => (CallState::Failed, error),
        };
        let call = Arc::make_mut(&mut tracked.call);
        call.state = state;
        call.error = Some(error);
        if state != CallState::Unknown {
            call.ended_at = Some(at);
            call.closed = true;
        }
        self.changed(id)
    }

    /// An event. Says how the call stands that it changed.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp, now: Instant) -> Option<Arc<Call>> {
        let id = match event {
            Event::ChannelCreated { channel } | Event::ChannelStateChange { channel } => {
                let id = *self.channels.get(&channel.id)?;
                self.observe(id, channel, at)
            }
            Event::Dial {
                caller,
                peer,
                dialstatus,
            } => self.dial(caller.as_ref(), peer, *dialstatus, at)?,
            Event::ChannelEnteredBridge { bridge, channel } => {
                let id = *self.channels.get(&channel.id)?;
                let observed = self.observe(id, channel, at);
                self.bridged(id, bridge, at).or(observed)
            }
            Event::ChannelDestroyed { cause, channel } => {
                let id = *self.channels.get(&channel.id)?;
                self.observe(id, channel, at);
                self.destroyed(id, &channel.id, Some(*cause), at)
            }
            Event::ApplicationReplaced | Event::Other => None,
        }?;
        if let Some(last_seen_at) = self
            .calls
            .get_mut(&id)
            .and_then(|tracked| tracked.last_seen_at.as_mut())
        {
            *last_seen_at = now;
        }
        self.changed(id)
    }

    /// A channel of the call is alive and in this state.
    fn observe(&mut self, id: CallId, channel: &Channel, at: Timestamp) -> Option<CallId> {
        let call = self.call_mut(id)?;
        let is_first = id.is_of(&channel.id);
        let mut changed = false;
        if call.state == CallState::Unknown {
            // It was placed after all.
            call.state = CallState::Sent;
            call.error = None;
            changed = true;
        }
        let leg = match call.legs.iter_mut().position(|leg| leg.channel_id == channel.id) {
            Some(position) => &mut call.legs[position],
            None => {
                changed = true;
                call.legs
                    .push(Leg::new(channel.id.clone(), channel.name.clone(), at));
                call.legs.last_mut()?
            }
        };
        changed |= match channel.state {
            ChannelState::Ringing => leg.answered_at.is_none() && see(&mut leg.ringing_at, at),
            ChannelState::Up => see(&mut leg.answered_at, at),
            ChannelState::Other => false,
        };
        if is_first {
            changed |= match channel.state {
                ChannelState::Ringing => advance(call, CallState::Ringing, at),
                ChannelState::Up => advance(call, CallState::Answered, at),
                ChannelState::Other => false,
            };
        }
        changed.then_some(id)
    }

    fn dial(
        &mut self,
        caller: Option<&Channel>,
        peer: &Channel,
        status: DialStatus,
        at: Timestamp,
    ) -> Option<Option<CallId>> {
        let known = self.channels.get(&peer.id).copied();
        let id = known.or_else(|| self.channels.get(&caller?.id).copied())?;
        self.channels.insert(peer.id.clone(), id);
        let observed = self.observe(id, peer, at);
        let call = self.call_mut(id)?;
        let is_first = id.is_of(&peer.id);
        let leg = call.legs.iter_mut().find(|leg| leg.channel_id == peer.id)?;
        let (seen, state) = match status {
            DialStatus::Ringing => {
                let seen = leg.answered_at.is_none() && see(&mut leg.ringing_at, at);
                (seen, CallState::Ringing)
            }
            DialStatus::Answer => (see(&mut leg.answered_at, at), CallState::Answered),
            DialStatus::Other => return Some(observed),
        };
        let changed = (is_first && advance(call, state, at)) || seen;
        Some(if changed { Some(id) } else { observed })
    }

    fn bridged(&mut self, id: CallId, bridge: &Bridge, at: Timestamp) -> Option<CallId> {
        let ours = bridge
            .channels
            .iter()
            .filter(|channel| self.channels.get(*channel) == Some(&id))
            .count();
        let call = self.call_mut(id)?;
        (ours >= 2 && advance(call, CallState::Bridged, at)).then_some(id)
    }

    fn destroyed(
        &mut self,
        id: CallId,
        channel: &str,
        cause: Option<HangupCause>,
        at: Timestamp,
    ) -> Option<CallId> {
        let call = self.call_mut(id)?;
        let leg = call.legs.iter_mut().find(|leg| leg.channel_id == channel)?;
        if leg.ended_at.is_some() {
            return None;
        }
        leg.ended_at = Some(at);
        leg.cause = cause;
        if call.legs.iter().all(|leg| leg.ended_at.is_some()) {
            end(call, at);
        }
        Some(id)
    }

    fn call_mut(&mut self, id: CallId) -> Option<&mut Call> {
        Some(Arc::make_mut(&mut self.calls.get_mut(&id)?.call))
    }

    /// Counts a change, and lets go of a call that is over.
    fn changed(&mut self, id: CallId) -> Option<Arc<Call>> {
        self.call_mut(id)?.revision += 1;
        let call = Arc::clone(&self.calls.get(&id)?.call);
        if call.closed {
            self.calls.remove(&id);
            self.channels.remove(&id.to_string());
            for leg in &call.legs {
                self.channels.remove(&leg.channel_id);
            }
        }
        Some(call)
    }
}

/// Takes note of what is seen for the first time.
fn see(seen_at: &mut Option<Timestamp>, at: Timestamp) -> bool {
    let first = seen_at.is_none();
    seen_at.get_or_insert(at);
    first
}

/// Moves a call on; it never goes back.
fn advance(call: &mut Call, to: CallState, at: Timestamp) -> bool {
    if call.closed || to <= call.state {
        return false;
    }
    call.state = to;
    match to {
        CallState::Ringing => call.ringing_at = Some(at),
        CallState::Answered => call.answered_at = Some(at),
        CallState::Bridged => call.bridged_at = Some(at),
        CallState::Sent | CallState::Unknown | CallState::Ended | CallState::Rejected | CallState::Failed => {
        }
    }
    true
}

/// Ends a call. Its cause is that of the party that was not reached, else that of the first leg.
fn end(call: &mut Call, at: Timestamp) {
    let decisive = if call.bridged_at.is_none() {
        call.legs.last()
    } else {
        call.legs.first()
    };
    call.cause = decisive.and_then(|leg| leg.cause);
    call.state = CallState::Ended;
    call.ended_at = Some(at);
    call.closed = true;
}

#[cfg(test)]
mod tests;
