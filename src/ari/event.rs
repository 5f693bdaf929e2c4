//! ARI's events and resources, as far as the gateway looks at them (Asterisk's `rest-api/api-docs/*.json`).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::telephony::HangupCause;

/// A channel's state (`main/channel.c`, `ast_state2str`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum ChannelState {
    Ringing,
    Up,
    /// Any other: nothing that a call's life depends on.
    #[serde(other)]
    Other,
}

/// A channel.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: ChannelState,
}

/// A bridge.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Bridge {
    pub(super) channels: Vec<String>,
}

/// A Stasis application.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Application {
    pub(super) bridge_ids: Vec<String>,
    pub(super) endpoint_ids: Vec<String>,
    /// Its event filter. An Asterisk that does not show one gets it again.
    #[serde(default)]
    pub(super) events_disallowed: Vec<EventType>,
}

/// A type of events in a filter.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct EventType {
    #[serde(rename = "type")]
    pub(super) name: String,
}

/// How a dial goes on (`main/dial.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum DialStatus {
    Ringing,
    Answer,
    /// Begun, in progress, or over; the end comes with the channel's.
    #[serde(other)]
    Other,
}

/// An event, by ARI's own names.
#[derive(Debug, Clone)]
pub(super) enum Event {
    ChannelCreated {
        channel: Channel,
    },
    ChannelStateChange {
        channel: Channel,
    },
    /// `caller` is absent for a channel that was originated.
    Dial {
        caller: Option<Channel>,
        peer: Channel,
        dialstatus: DialStatus,
    },
    ChannelEnteredBridge {
        bridge: Bridge,
        channel: Channel,
    },
    ChannelDestroyed {
        cause: HangupCause,
        channel: Channel,
    },
    /// Another socket took our application over.
    ApplicationReplaced,
    /// Of no concern here.
    Other,
}

/// A frame with what events may hold, each as it came: what a field is depends on the event's type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    bridge: Option<&'a RawValue>,
    caller: Option<&'a RawValue>,
    peer: Option<&'a RawValue>,
    dialstatus: Option<&'a RawValue>,
    cause: Option<&'a RawValue>,
}

#[derive(Deserialize)]
enum Kind {
    ChannelCreated,
    ChannelStateChange,
    Dial,
    ChannelEnteredBridge,
    ChannelDestroyed,
    ApplicationReplaced,
    #[serde(other)]
    Other,
}

impl Event {
    /// Reads a frame: its type first, and then only what is needed of that. An enum that serde tells apart by a field would
    /// keep every value of every event until it has seen that field.
    pub(super) fn parse(frame: &[u8]) -> serde_json::Result<Self> {
        let frame: Frame<'_> = serde_json::from_slice(frame)?;
        Ok(match frame.kind {
            Kind::ChannelCreated => Self::ChannelCreated {
                channel: read(frame.channel)?,
            },
            Kind::ChannelStateChange => Self::ChannelStateChange {
                channel: read(frame.channel)?,
            },
            Kind::Dial => Self::Dial {
                caller: read(frame.caller)?,
                peer: read(frame.peer)?,
                dialstatus: read(frame.dialstatus)?,
            },
            Kind::ChannelEnteredBridge => Self::ChannelEnteredBridge {
                bridge: read(frame.bridge)?,
                channel: read(frame.channel)?,
            },
            Kind::ChannelDestroyed => Self::ChannelDestroyed {
                cause: read(frame.cause)?,
                channel: read(frame.channel)?,
            },
            Kind::ApplicationReplaced => Self::ApplicationReplaced,
            Kind::Other => Self::Other,
        })
    }
}

/// Reads a field; one that is not there is as one that is null.
fn read<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> serde_json::Result<T> {
    serde_json::from_str(field.map_or("null", RawValue::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Event {
        Event::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn reads_what_asterisk_sends() {
        let channel = r#"{"id":"c1","name":"PJSIP/3cx-00000001","state":"Up","protocol_id":"x",
            "caller":{"name":"","number":"79102223311"},"connected":{"name":"","number":""},"accountcode":"",
            "dialplan":{"context":"outgoing","exten":"79102223311","priority":1,"app_name":"","app_data":""},
            "creationtime":"2026-11-22T10:00:00.123+0300","language":"en"}"#;
        let destroyed = format!(
            r#"{{"type":"ChannelDestroyed","timestamp":"2026-11-22T10:00:09.123+0300","cause":17,
                "cause_txt":"User busy","tech_cause":486,"channel":{channel},"application":"mege-1"}}"#
        );
        assert!(matches!(
            parse(&destroyed),
            Event::ChannelDestroyed { cause: HangupCause::BUSY, channel } if channel.state == ChannelState::Up
        ));
        let dial = format!(
            r#"{{"type":"Dial","dialstatus":"RINGING","forward":"","dialstring":"x","peer":{channel}}}"#
        );
        assert!(matches!(
            parse(&dial),
            Event::Dial {
                caller: None,
                dialstatus: DialStatus::Ringing,
                ..
            }
        ));
        let begun = format!(r#"{{"type":"Dial","dialstatus":"","peer":{channel},"caller":{channel}}}"#);
        assert!(matches!(
            parse(&begun),
            Event::Dial {
                caller: Some(_),
                dialstatus: DialStatus::Other,
                ..
            }
        ));
    }

    #[test]
    fn passes_over_what_it_does_not_know() {
        assert!(matches!(
            parse(r#"{"type":"TextMessageReceived","message":{}}"#),
            Event::Other
        ));
        let odd = r#"{"id":"c","name":"n","state":"Pre-ring"}"#;
        let channel: Channel = serde_json::from_str(odd).unwrap();
        assert_eq!(channel.state, ChannelState::Other);
    }
}
