//! Calls through Asterisk.

use super::ask::{OperationError, Unfinished};
use super::{AWAY, ApiError, ErrorCode, Outcome};
use crate::ari::{AriError, OriginateError};
use crate::call::CallId;

/// A read, and what a hang-up has in common with one: it may be repeated.
impl OperationError for AriError {
    const ASKED: &'static str = "Asterisk";

    fn told(self) -> ApiError {
        match self {
            Self::Unauthorized => ErrorCode::CredentialsRefused.error(self.to_string()),
            Self::RequestNotSent(_) => ErrorCode::RequestNotSent
                .error("the request did not reach Asterisk")
                .retry_in(AWAY),
            Self::NoAnswer | Self::OutcomeUnknown(_) => Self::unfinished(Unfinished::Overdue),
            Self::Rejected { .. } => ErrorCode::Rejected.error("Asterisk refused the request"),
        }
    }
}

/// An originate: once it has begun, only the PBX's own answer says what became of it.
impl OperationError for OriginateError {
    const ASKED: &'static str = AriError::ASKED;

    fn told(self) -> ApiError {
        let words = self.to_string();
        let error = match self {
            Self::NotConnected(_) => ErrorCode::NotConnected
                .error("not connected to Asterisk")
                .retry_in(AWAY),
            Self::TooManyCalls(_) => ErrorCode::TooManyCalls.error(words).retry_in(AWAY),
            Self::TrunkRate { retry_after } => ErrorCode::TrunkRate.error(words).retry_in(retry_after),
            Self::UnknownTrunk(_) => ErrorCode::UnknownTrunk.error("Asterisk does not know the trunk"),
            Self::Ari(AriError::NoAnswer | AriError::OutcomeUnknown(_)) => {
                return Self::unfinished(Unfinished::Overdue);
            }
            Self::Ari(AriError::Rejected { .. }) => ErrorCode::Rejected.error(words),
            Self::Ari(error) => error.told(),
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
            ..ErrorCode::OriginateOutcomeUnknown.error(words)
        }
    }
}

impl ApiError {
    /// The same of a call that was to have this id, which is named where there may be such a one.
    pub(in crate::http) fn of_call(mut self, id: CallId) -> Self {
        self.call_id = (self.outcome == Some(Outcome::Unknown)).then_some(id);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Told, told};
    use super::*;
    use crate::call::Full;

    fn words() -> String {
        "10.0.0.5: no route to 79102223311".to_owned()
    }

    fn rejected() -> AriError {
        AriError::Rejected {
            status: 500,
            message: "Allocation failed".to_owned(),
        }
    }

    #[test]
    fn an_originate_that_did_not_succeed_says_what_became_of_the_call() {
        let placed_not = Some(Outcome::NotPlaced);
        let unknown = (
            502,
            "originate_outcome_unknown",
            false,
            Some(Outcome::Unknown),
            None,
        );
        let trunk_rate = OriginateError::TrunkRate {
            retry_after: Duration::from_millis(1_500),
        };
        let table: [(OriginateError, Told); 10] = [
            (
                OriginateError::NotConnected(words()),
                (503, "not_connected", true, placed_not, Some(5)),
            ),
            (
                OriginateError::TooManyCalls(Full::Node),
                (503, "too_many_calls", true, placed_not, Some(5)),
            ),
            (
                OriginateError::TooManyCalls(Full::Trunk),
                (503, "too_many_calls", true, placed_not, Some(5)),
            ),
            (trunk_rate, (503, "trunk_rate", true, placed_not, Some(2))),
            (
                OriginateError::UnknownTrunk(words()),
                (502, "unknown_trunk", true, placed_not, None),
            ),
            (
                AriError::RequestNotSent(words()).into(),
                (503, "request_not_sent", true, placed_not, Some(5)),
            ),
            (
                AriError::Unauthorized.into(),
                (502, "credentials_refused", true, placed_not, None),
            ),
            (rejected().into(), (502, "rejected", true, placed_not, None)),
            (AriError::OutcomeUnknown(words()).into(), unknown),
            (AriError::NoAnswer.into(), unknown),
        ];
        let id = CallId::mint();
        for (error, expected) in table {
            let answer = error.clone().told().of_call(id);
            assert_eq!(told(&answer), expected, "{error:?}");
            assert!(!answer.to_string().contains("79102223311"), "{error:?}");
            assert_eq!(answer.call_id.is_some(), expected == unknown, "{error:?}");
        }
        let late = OriginateError::unfinished(Unfinished::Interrupted).of_call(id);
        assert_eq!((told(&late), late.call_id), (unknown, Some(id)));
    }

    #[test]
    fn a_call_that_was_not_hung_up_says_nothing_of_an_originate_and_may_be_hung_up_again() {
        let table: [(AriError, Told); 5] = [
            (
                AriError::RequestNotSent(words()),
                (503, "request_not_sent", true, None, Some(5)),
            ),
            (
                AriError::Unauthorized,
                (502, "credentials_refused", true, None, None),
            ),
            (rejected(), (502, "rejected", true, None, None)),
            (
                AriError::OutcomeUnknown(words()),
                (504, "deadline_exceeded", true, None, None),
            ),
            (AriError::NoAnswer, (504, "deadline_exceeded", true, None, None)),
        ];
        for (error, expected) in table {
            let answer = error.clone().told();
            assert_eq!(told(&answer), expected, "{error:?}");
            assert!(!answer.to_string().contains("10.0.0.5"), "{error:?}");
        }
    }
}
