//! What a caller is told whose call was not hung up. Whatever it is, it may be asked for again.

use std::time::Duration;

use super::{AWAY, Code, Failure, circuit_open, down, paused, restarting, saturated, too_late};
use crate::actor::AskError;
use crate::ari::{AriError, HangupError};

impl Failure {
    /// No call that lives has that id, or it is not for this caller: nobody can tell which.
    #[must_use]
    pub fn no_such_call() -> Self {
        Self::new(Code::NotFound, "there is no such call, or it is over")
    }

    /// Of a hang-up.
    #[must_use]
    pub fn of_hangup(error: AskError<HangupError>) -> Self {
        let unanswered = || too_late("Asterisk did not answer in time: the call may live on, hang up again");
        match error {
            AskError::Saturated { retry_after } => saturated(retry_after),
            AskError::CircuitOpen { retry_after } => circuit_open(retry_after),
            AskError::Paused => paused(),
            AskError::Restarting { retry_after } => restarting(retry_after),
            AskError::Failed => down(),
            AskError::DeadlineExceeded { begun: _ } => unanswered(),
            AskError::Interrupted => {
                Self::new(Code::Interrupted, "hanging up failed half-way").retry_in(Duration::from_secs(1))
            }
            AskError::Reply(HangupError::NoSuchChannel) => Self::no_such_call(),
            AskError::Reply(HangupError::Ari(error)) => match error {
                AriError::OutcomeUnknown(_) | AriError::NoAnswer => unanswered(),
                AriError::RequestNotSent(_) => {
                    Self::new(Code::RequestNotSent, "the request did not reach Asterisk").retry_in(AWAY)
                }
                AriError::Unauthorized => Self::new(Code::CredentialsRefused, error.to_string()),
                AriError::Rejected { .. } => Self::new(Code::Rejected, "Asterisk refused to hang up"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_not_hung_up_says_nothing_of_an_originate_and_may_be_hung_up_again() {
        let words = || "10.0.0.5: no route".to_owned();
        let rejected = AriError::Rejected {
            status: 500,
            message: words(),
        };
        let second = Duration::from_secs(1);
        let table: [(AskError<HangupError>, u16, &str, Option<u64>); 10] = [
            (
                AskError::Saturated { retry_after: second },
                503,
                "saturated",
                Some(1),
            ),
            (
                AskError::Restarting { retry_after: second },
                503,
                "restarting",
                Some(1),
            ),
            (AskError::Failed, 503, "failed", Some(30)),
            (
                AskError::DeadlineExceeded { begun: true },
                504,
                "deadline_exceeded",
                None,
            ),
            (AskError::Interrupted, 503, "interrupted", Some(1)),
            (
                AskError::Reply(AriError::OutcomeUnknown(words()).into()),
                504,
                "deadline_exceeded",
                None,
            ),
            (
                AskError::Reply(AriError::RequestNotSent(words()).into()),
                503,
                "request_not_sent",
                Some(5),
            ),
            (
                AskError::Reply(AriError::Unauthorized.into()),
                502,
                "credentials_refused",
                None,
            ),
            (AskError::Reply(rejected.into()), 502, "rejected", None),
            (
                AskError::Reply(HangupError::NoSuchChannel),
                404,
                "not_found",
                None,
            ),
        ];
        for (error, status, code, retry_after) in table {
            let shown = format!("{error:?}");
            let failure = Failure::of_hangup(error);
            assert_eq!(
                (failure.code.status().as_u16(), failure.code.as_str()),
                (status, code)
            );
            assert_eq!(failure.retry_after_s(), retry_after, "{shown}");
            assert_eq!(failure.outcome, None, "{shown}");
            assert!(failure.code.retryable() || status == 404, "{shown}");
            assert!(!failure.message.contains("10.0.0.5"), "{shown}");
        }
    }
}
