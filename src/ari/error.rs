//! What can go wrong with ARI.

use std::time::Duration;

use super::live_calls::Full;
use crate::actor::{Classify, FailureClass};

/// What Asterisk says, with a 500, of an originate for which it could make no channel (`res/ari/resource_channels.c`).
pub(super) const ALLOCATION_FAILED: &str = "Allocation failed";

/// Why Asterisk did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AriError {
    /// The event socket is down: a call placed now would not be seen. Nothing was sent.
    #[error("not connected to Asterisk: {0}")]
    NotConnected(String),
    /// Asterisk does not accept our user or password. Nothing was sent.
    #[error("Asterisk refused the user or password")]
    Unauthorized,
    /// Asterisk has no such trunk. Nothing was sent.
    #[error("Asterisk does not know the trunk {0}")]
    UnknownTrunk(String),
    /// As many calls live as may. Nothing was sent.
    #[error("{0}")]
    TooManyCalls(Full),
    /// More calls were asked for than the trunk may be given. Nothing was sent.
    #[error("more calls are asked for than the trunk may be given")]
    TrunkRate {
        /// When a new try is worthwhile.
        retry_after: Duration,
    },
    /// The deadline came before it could be asked. Nothing was sent.
    #[error("too little time was left to ask Asterisk")]
    TooLate,
    /// Asterisk has no such channel, or not any more.
    #[error("there is no such call")]
    NoSuchCall,
    /// No connection could be made. Nothing was sent.
    #[error("the request did not reach Asterisk: {0}")]
    RequestNotSent(String),
    /// The request left and no answer came in time: whether Asterisk carried it out is not known.
    #[error("Asterisk did not answer in time")]
    NoAnswer,
    /// The request left and no answer came: whether Asterisk carried it out is not known.
    #[error("Asterisk did not answer: {0}")]
    OutcomeUnknown(String),
    /// Asterisk refused.
    #[error("Asterisk answered {status}: {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// An answer that is not what ARI says.
    #[error("Asterisk's answer makes no sense: {0}")]
    Decode(String),
}

impl AriError {
    /// Its name in metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => "not_connected",
            Self::Unauthorized => "credentials_refused",
            Self::UnknownTrunk(_) => "unknown_trunk",
            Self::TooManyCalls(_) => "too_many_calls",
            Self::TrunkRate { .. } => "trunk_rate",
            Self::TooLate => "too_late",
            Self::NoSuchCall => "no_such_call",
            Self::RequestNotSent(_) => "not_sent",
            Self::OutcomeUnknown(_) | Self::NoAnswer => "unknown",
            Self::Rejected { .. } => "rejected",
            Self::Decode(_) => "decode",
        }
    }
}

impl Classify for AriError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::NotConnected(_) | Self::TooManyCalls(_) | Self::TrunkRate { .. } | Self::TooLate => {
                FailureClass::NotAsked
            }
            // It, or something before it, is out of order; but for that one, which is about the call.
            Self::Rejected {
                status: 500..,
                message,
            } if message != ALLOCATION_FAILED => FailureClass::Failed,
            // It answered; what it said is about us or about the call.
            Self::Unauthorized | Self::UnknownTrunk(_) | Self::Rejected { .. } | Self::NoSuchCall => {
                FailureClass::Answered
            }
            Self::NoAnswer => FailureClass::TimedOut,
            Self::RequestNotSent(_) | Self::OutcomeUnknown(_) | Self::Decode(_) => FailureClass::Failed,
        }
    }
}
