//! Events as ARI tells them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value};

use super::channel::Channel;

/// The Asterisk's entity id.
pub(super) const ASTERISK_ID: &str = "02:00:5e:00:53:01";

/// A moment as Asterisk writes it: the server's wall clock, milliseconds, and an offset without a colon. The
/// simulated server stands in Moscow.
pub(super) fn date(at: Timestamp) -> String {
    let local = at.to_zoned(TimeZone::fixed(Offset::constant(3)));
    local.strftime("%Y-%m-%dT%H:%M:%S.%3f%z").to_string()
}

/// An event, and what it is about.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) kind: &'static str,
    pub(super) channels: BTreeSet<String>,
    pub(super) bridges: BTreeSet<String>,
    pub(super) endpoints: BTreeSet<String>,
    body: Map<String, Value>,
}

impl Event {
    pub(super) fn new(kind: &'static str) -> Self {
        let mut body = Map::new();
        body.insert("type".to_owned(), kind.into());
        body.insert("timestamp".to_owned(), date(Timestamp::now()).into());
        Self {
            kind,
            channels: BTreeSet::new(),
            bridges: BTreeSet::new(),
            endpoints: BTreeSet::new(),
            body,
        }
    }

    /// Adds a field.
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.body.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a channel under a field's name; the event is about it.
    pub(super) fn channel(mut self, key: &str, channel: &Channel) -> Self {
        self.channels.insert(channel.id.clone());
        self.endpoints.insert(channel.endpoint());
        self.with(key, channel.to_json())
    }

    /// Adds a bridge; the event is about it.
    pub(super) fn bridge(mut self, id: &str, bridge: Value) -> Self {
        self.bridges.insert(id.to_owned());
        self.with("bridge", bridge)
    }

    /// The text for an application.
    pub(super) fn text(&self, application: &str) -> String {
        let mut body = self.body.clone();
        body.insert("asterisk_id".to_owned(), ASTERISK_ID.into());
        body.insert("application".to_owned(), application.into());
        Value::Object(body).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_no_colon_in_its_offset() {
        assert_eq!(
            date("2025-03-17T14:32:35.7091Z".parse().unwrap()),
            "2025-03-17T17:32:35.709+0300"
        );
    }
}
