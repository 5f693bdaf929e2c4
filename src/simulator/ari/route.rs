//! What requests are about.

use actix_web::http::Method;

use super::faults::AriOperation;

/// A path of ARI that the simulator has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Info,
    Ping,
    Channels,
    Channel(String),
    /// Something done to a channel: hold, answer, play, ….
    ChannelOperation(String),
    Bridges,
    /// An endpoint by its resource; its technology is PJSIP.
    Endpoint(String),
    Application(String),
    Subscription(String),
    EventFilter(String),
    Events,
}

const CHANNEL_OPERATIONS: [&str; 14] = [
    "answer", "continue", "dial", "dtmf", "hold", "moh", "move", "mute", "play", "record", "redirect",
    "ring", "silence", "variable",
];

impl Route {
    /// The route of a path below `/ari/`, already split and decoded.
    pub(super) fn of(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["asterisk", "info"] => Self::Info,
            ["asterisk", "ping"] => Self::Ping,
            ["channels"] => Self::Channels,
            ["channels", id] => Self::Channel((*id).to_owned()),
            ["channels", id, operation] if CHANNEL_OPERATIONS.contains(operation) => {
                Self::ChannelOperation((*id).to_owned())
            }
            ["bridges"] => Self::Bridges,
            ["endpoints", "PJSIP", resource] => Self::Endpoint((*resource).to_owned()),
            ["applications", name] => Self::Application((*name).to_owned()),
            ["applications", name, "subscription"] => Self::Subscription((*name).to_owned()),
            ["applications", name, "eventFilter"] => Self::EventFilter((*name).to_owned()),
            ["events"] => Self::Events,
            _ => return None,
        })
    }

    /// The methods that it has.
    pub(super) fn allowed(&self) -> &'static str {
        match self {
            Self::Info
            | Self::Ping
            | Self::Bridges
            | Self::Endpoint(_)
            | Self::Application(_)
            | Self::Events => "GET",
            Self::Channels => "GET,POST",
            Self::Channel(_) => "GET,POST,DELETE",
            Self::ChannelOperation(_) | Self::Subscription(_) => "POST,DELETE",
            Self::EventFilter(_) => "PUT",
        }
    }

    /// Its path for the journal, without ids.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Info => "/asterisk/info",
            Self::Ping => "/asterisk/ping",
            Self::Channels => "/channels",
            Self::Channel(_) => "/channels/{id}",
            Self::ChannelOperation(_) => "/channels/{id}/…",
            Self::Bridges => "/bridges",
            Self::Endpoint(_) => "/endpoints/PJSIP/{resource}",
            Self::Application(_) => "/applications/{name}",
            Self::Subscription(_) => "/applications/{name}/subscription",
            Self::EventFilter(_) => "/applications/{name}/eventFilter",
            Self::Events => "/events",
        }
    }

    /// The kind of request, for faults.
    pub(super) fn operation(&self, method: &Method) -> AriOperation {
        match self {
            Self::Channels | Self::Channel(_) if method == Method::POST => AriOperation::Originate,
            Self::Channel(_) if method == Method::DELETE => AriOperation::Hangup,
            Self::Subscription(_) | Self::EventFilter(_) => AriOperation::Application,
            Self::Events => AriOperation::Connect,
            Self::Info
            | Self::Ping
            | Self::Channels
            | Self::Channel(_)
            | Self::ChannelOperation(_)
            | Self::Bridges
            | Self::Endpoint(_)
            | Self::Application(_) => AriOperation::Other,
        }
    }
}
