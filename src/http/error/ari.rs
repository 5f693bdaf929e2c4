//! Calls through Asterisk.

use super::ask::{OperationError, Unfinished};
use super::{AWAY, ApiError, ErrorCode, Outcome};
use crate::ari::AriError;

/// An originate: once it has begun, only the PBX's own answer says what became of it.
impl OperationError for AriError {
    const ASKED: &'static str = "Asterisk";

    fn told(self) -> ApiError {
        let words = self.to_string();
        let error = match self {
            Self::NotConnected(_) => {
                ApiError::new(ErrorCode::NotConnected, "not connected to Asterisk").retry_in(AWAY)
            }
            Self::TooManyCalls(_) => ApiError::new(ErrorCode::TooManyCalls, words).retry_in(AWAY),
            Self::TrunkRate { retry_after } => {
                ApiError::new(ErrorCode::TrunkRate, words).retry_in(retry_after)
            }
            Self::RequestNotSent(_) => {
                ApiError::new(ErrorCode::RequestNotSent, "the request did not reach Asterisk").retry_in(AWAY)
            }
            Self::Unauthorized => ApiError::new(ErrorCode::CredentialsRefused, words),
            Self::UnknownTrunk(_) => {
                ApiError::new(ErrorCode::UnknownTrunk, "Asterisk does not know the trunk")
            }
            Self::Rejected { .. } => ApiError::new(ErrorCode::Rejected, words),
            // An answer to an originate that cannot be read may well be its success.
            Self::OutcomeUnknown(_) | Self::NoAnswer | Self::Decode(_) => {
                return Self::unfinished(Unfinished::Interrupted);
            }
            Self::TooLate | Self::NoSuchCall => ApiError::not_found("call"),
        };
        error.not_placed()
    }

    fn not_begun(error: ApiError) -> ApiError {
        error.not_placed()
    }

    fn unfinished(_: Unfinished) -> ApiError {
        let words =
            "the request left and no answer came: the call may have been placed, do not repeat it blindly";
        ApiError {
            outcome: Some(Outcome::Unknown),
            ..ApiError::new(ErrorCode::OriginateOutcomeUnknown, words)
        }
    }
}
