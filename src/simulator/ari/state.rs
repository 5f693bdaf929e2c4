//! Channels, bridges and applications, and the events that tell of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::application::{Application, Socket};
use super::channel::Channel;
use super::event::Event;
use crate::telephony::HangupCause;

/// What requests and calls share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) channels: BTreeMap<String, Channel>,
    /// The channels of each bridge.
    pub(super) bridges: BTreeMap<String, Vec<String>>,
    pub(super) applications: BTreeMap<String, Application>,
    /// The PJSIP endpoints that are configured.
    pub(super) trunks: BTreeSet<String>,
}

impl State {
    /// Gives an event to every application that asked for it and has a socket.
    pub(super) fn publish(&self, event: &Event) {
        for (name, application) in &self.applications {
            let Some(socket) = &application.socket else {
                continue;
            };
            for _ in 0..application.copies(event) {
                socket.send(event.text(name));
            }
        }
    }

    /// Whether events wait for a socket.
    pub(super) fn is_behind(&self) -> bool {
        let mut sockets = self.applications.values().filter_map(|it| it.socket.as_ref());
        sockets.any(Socket::is_behind)
    }

    /// Changes a channel and tells of it.
    pub(super) fn update(&mut self, id: &str, kind: &'static str, change: impl FnOnce(&mut Channel)) {
        if let Some(channel) = self.channels.get_mut(id) {
            change(channel);
            let event = Event::new(kind).channel("channel", channel);
            self.publish(&event);
        }
    }

    /// Tells of a channel.
    pub(super) fn tell(&self, id: &str, event: Event) {
        if let Some(channel) = self.channels.get(id) {
            self.publish(&event.channel("channel", channel));
        }
    }

    /// Tells how the dialling of `peer` goes.
    pub(super) fn dial(&self, caller: Option<&str>, peer: &str, status: &str, dial_string: &str) {
        let Some(peer) = self.channels.get(peer) else {
            return;
        };
        let mut event = Event::new("Dial")
            .with("dialstatus", status)
            .with("forward", "")
            .with("dialstring", dial_string)
            .channel("peer", peer);
        if let Some(caller) = caller.and_then(|id| self.channels.get(id)) {
            event = event.channel("caller", caller);
        }
        self.publish(&event);
    }

    /// Ends a channel.
    pub(super) fn destroy(&mut self, id: &str, cause: u16, sip_status: Option<u16>) {
        let bridged: Vec<_> = self
            .bridges
            .iter()
            .filter(|(_, in_it)| in_it.iter().any(|other| other == id))
            .map(|(bridge, _)| bridge.clone())
            .collect();
        for bridge in bridged {
            self.leave(&bridge, id);
        }
        let Some(channel) = self.channels.remove(id) else {
            return;
        };
        if channel.in_stasis {
            self.publish(&Event::new("StasisEnd").channel("channel", &channel));
        }
        let mut event = Event::new("ChannelDestroyed")
            .with("cause", cause)
            .with("cause_txt", HangupCause(cause).text())
            .channel("channel", &channel);
        if let Some(status) = sip_status {
            event = event.with("tech_cause", status);
        }
        self.publish(&event);
        for application in self.applications.values_mut() {
            application.forget_channel(id);
        }
        self.applications.retain(|_, application| application.is_kept());
    }

    /// Puts channels into a new bridge.
    pub(super) fn bridge(&mut self, id: &str, channels: &[&str]) {
        self.bridges.insert(id.to_owned(), Vec::new());
        self.publish(&Event::new("BridgeCreated").bridge(id, bridge_json(id, &[])));
        for &channel in channels {
            let in_it = self.bridges.entry(id.to_owned()).or_default();
            in_it.push(channel.to_owned());
            let json = bridge_json(id, in_it);
            self.tell(channel, Event::new("ChannelEnteredBridge").bridge(id, json));
        }
    }

    /// Takes a channel out of a bridge, which ends with its last.
    fn leave(&mut self, id: &str, channel: &str) {
        let Some(in_it) = self.bridges.get_mut(id) else {
            return;
        };
        in_it.retain(|other| other != channel);
        let json = bridge_json(id, in_it);
        let empty = in_it.is_empty();
        self.tell(channel, Event::new("ChannelLeftBridge").bridge(id, json.clone()));
        if empty {
            self.bridges.remove(id);
            self.publish(&Event::new("BridgeDestroyed").bridge(id, json));
        }
    }

    /// Gives an application a new socket. A former one stays open and learns that it was replaced.
    pub(super) fn connect(&mut self, name: &str, all: bool, socket: Socket) {
        let application = self
            .applications
            .entry(name.to_owned())
            .or_insert_with(|| Application::new(all));
        if let Some(former) = application.socket.replace(socket) {
            former.send(Event::new("ApplicationReplaced").text(name));
        }
    }

    /// Takes a socket from its applications.
    pub(super) fn disconnect(&mut self, socket: u64) {
        for application in self.applications.values_mut() {
            if application.socket.as_ref().is_some_and(|it| it.id == socket) {
                application.socket = None;
            }
        }
        self.applications.retain(|_, application| application.is_kept());
    }
}

/// A bridge as ARI shows it.
pub(super) fn bridge_json(id: &str, channels: &[String]) -> Value {
    json!({
        "id": id,
        "technology": "simple_bridge",
        "bridge_type": "mixing",
        "bridge_class": "basic",
        "creator": "",
        "name": "",
        "channels": channels,
        "video_mode": "none",
    })
}
