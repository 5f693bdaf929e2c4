//! What can go wrong with ARI.

use std::time::Duration;

use crate::actor::{Classify, FailureClass};
use crate::call::Full;

/// What Asterisk says, with a 500, of an originate for which it could make no channel (`res/ari/resource_channels.c`).
pub(super) const ALLOCATION_FAILED: &str = "Allocation failed";

/// Why a request to Asterisk has no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AriError {
    /// Asterisk does not accept our user or password. Nothing was carried out.
    #[error("Asterisk refused the user or password")]
    Unauthorized,
    /// No connection could be made. Nothing was sent.
    #[error("the request did not reach Asterisk: {0}")]
    RequestNotSent(String),
    /// The request left and no answer came in time: whether Asterisk carried it out is not known.
    #[error("Asterisk did not answer in time")]
    NoAnswer,
    /// The request left and no answer came that can be read: whether Asterisk carried it out is not known.
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
}

/// Why a call was not placed, or not as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginateError {
    /// The event socket is down: a call placed now would not be seen. Nothing was sent.
    #[error("not connected to Asterisk: {0}")]
    NotConnected(String),
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
    /// The request has no success. Whether there is a call is not known after [`AriError::NoAnswer`] and
    /// [`AriError::OutcomeUnknown`]; after any other there is none.
    #[error(transparent)]
    Ari(#[from] AriError),
}

impl AriError {
    /// Its name in metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unauthorized => "credentials_refused",
            Self::RequestNotSent(_) => "not_sent",
            Self::OutcomeUnknown(_) | Self::NoAnswer => "unknown",
            Self::Rejected { .. } => "rejected",
        }
    }
}

impl OriginateError {
    /// Its name in metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => "not_connected",
            Self::UnknownTrunk(_) => "unknown_trunk",
            Self::TooManyCalls(_) => "too_many_calls",
            Self::TrunkRate { .. } => "trunk_rate",
            Self::Ari(error) => error.outcome(),
        }
    }
}

impl Classify for AriError {
    fn failure_class(&self) -> FailureClass {
        match self {
            // It, or something before it, is out of order; but for that one, which is about the call.
            Self::Rejected {
                status: 500..,
                message,
            } if message != ALLOCATION_FAILED => FailureClass::Failed,
            // It answered; what it said is about us or about the call.
            Self::Unauthorized | Self::Rejected { .. } => FailureClass::Answered,
            Self::NoAnswer => FailureClass::TimedOut,
            Self::RequestNotSent(_) | Self::OutcomeUnknown(_) => FailureClass::Failed,
        }
    }
}

impl Classify for OriginateError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::NotConnected(_) | Self::TooManyCalls(_) | Self::TrunkRate { .. } => FailureClass::NotAsked,
            Self::UnknownTrunk(_) => FailureClass::Answered,
            Self::Ari(error) => error.failure_class(),
        }
    }
}
