//! Stasis applications: who gets which events.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::Event;

/// How a subscription to all bridges, `bridge:`, is listed (`res/stasis/app.c`).
pub(super) const ALL_BRIDGES: &str = "__AST_BRIDGE_ALL_TOPIC";

/// The way to an event socket.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) id: u64,
    pub(super) frames: mpsc::Sender<String>,
    /// Cancelled when an event did not fit any more.
    pub(super) overrun: CancellationToken,
}

impl Socket {
    /// Queues a text. A socket that is so far behind that it does not fit is closed rather than left with a gap.
    pub(super) fn send(&self, text: String) {
        if self.frames.try_send(text).is_err() {
            self.overrun.cancel();
        }
    }

    /// Whether texts wait.
    pub(super) fn is_behind(&self) -> bool {
        self.frames.capacity() < self.frames.max_capacity()
    }
}

/// An application. It outlives its socket as long as it has a subscription.
#[derive(Debug, Default)]
pub(super) struct Application {
    pub(super) socket: Option<Socket>,
    all: bool,
    channels: BTreeSet<String>,
    bridges: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    /// None: all types are allowed.
    allowed: Option<BTreeSet<String>>,
    disallowed: BTreeSet<String>,
}

/// What an application subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Channel(String),
    Bridge(String),
    /// `PJSIP/trunk`.
    Endpoint(String),
}

impl Application {
    pub(super) fn new(all: bool) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    pub(super) fn subscribe(&mut self, source: Source) {
        let (set, id) = self.set(source);
        set.insert(id);
    }

    /// Whether there was such a subscription.
    pub(super) fn unsubscribe(&mut self, source: Source) -> bool {
        let (set, id) = self.set(source);
        set.remove(&id)
    }

    fn set(&mut self, source: Source) -> (&mut BTreeSet<String>, String) {
        match source {
            Source::Channel(id) => (&mut self.channels, id),
            Source::Bridge(id) => (&mut self.bridges, id),
            Source::Endpoint(id) => (&mut self.endpoints, id),
        }
    }

    /// Forgets a channel that is gone.
    pub(super) fn forget_channel(&mut self, id: &str) {
        self.channels.remove(id);
    }

    /// Whether Asterisk keeps it: an application with neither socket nor subscription is gone, also one that was
    /// subscribed to everything.
    pub(super) fn is_kept(&self) -> bool {
        let subscriptions = self.channels.len() + self.bridges.len() + self.endpoints.len();
        self.socket.is_some() || subscriptions > 0
    }

    /// Sets the filter from a request's body; false when it is not one.
    pub(super) fn set_filter(&mut self, body: &Value) -> bool {
        let Some(body) = body.as_object() else {
            return false;
        };
        let types = |key| match body.get(key) {
            None | Some(Value::Null) => Some(None),
            Some(list) => type_names(list).map(Some),
        };
        let (Some(allowed), Some(disallowed)) = (types("allowed"), types("disallowed")) else {
            return false;
        };
        // An empty body takes the filter away.
        self.allowed = allowed;
        self.disallowed = disallowed.unwrap_or_default();
        true
    }

    /// How many copies of an event it gets: one for each subscription that matches.
    pub(super) fn copies(&self, event: &Event) -> usize {
        let kind = event.kind;
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(kind));
        if !allowed || self.disallowed.contains(kind) {
            return 0;
        }
        let all_bridges = !event.bridges.is_empty() && self.bridges.contains(ALL_BRIDGES);
        // What happens in a bridge is told to those who subscribed to bridges or to the channel; an endpoint's
        // subscription does not bring it (measured on 22.10.1).
        let by_endpoint = event.bridges.is_empty();
        let matching = |set: &BTreeSet<String>, ids: &BTreeSet<String>| set.intersection(ids).count();
        usize::from(self.all)
            + matching(&self.channels, &event.channels)
            + matching(&self.bridges, &event.bridges)
            + usize::from(all_bridges)
            + if by_endpoint {
                matching(&self.endpoints, &event.endpoints)
            } else {
                0
            }
    }

    pub(super) fn to_json(&self, name: &str) -> Value {
        let types = |names: &BTreeSet<String>| -> Vec<Value> {
            names.iter().map(|name| json!({ "type": name })).collect()
        };
        json!({
            "name": name,
            "channel_ids": self.channels,
            "bridge_ids": self.bridges,
            "endpoint_ids": self.endpoints,
            "device_names": [],
            "events_allowed": self.allowed.as_ref().map(types).unwrap_or_default(),
            "events_disallowed": types(&self.disallowed),
        })
    }
}

fn type_names(list: &Value) -> Option<BTreeSet<String>> {
    let names = list.as_array()?.iter();
    names
        .map(|item| item.get("type")?.as_str().map(str::to_owned))
        .collect()
}
