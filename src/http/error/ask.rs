//! The one way from an actor's error to an answer.

use std::time::Duration;

use super::{ApiError, DOWN, ErrorCode};
use crate::actor::AskError;

/// When to repeat what a failure of ours interrupted: the actor is there again by then.
const SOON: Duration = Duration::from_secs(1);

/// How an operation ended without its actor's reply after it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// The deadline passed.
    Overdue,
    /// The actor failed half-way.
    Interrupted,
}

/// The error of an operation, as far as it differs from that of others.
pub(super) trait OperationError: Sized {
    /// Who was asked, in words.
    const ASKED: &'static str;

    /// What the caller is told when the actor replied with this error.
    fn told(self) -> ApiError;

    /// What it is told of an operation that was surely not begun, where there is more to say.
    fn not_begun(error: ApiError) -> ApiError {
        error
    }

    /// What it is told of an operation that had begun. This is for what may be repeated.
    fn unfinished(how: Unfinished) -> ApiError {
        match how {
            Unfinished::Overdue => {
                ErrorCode::DeadlineExceeded.error(format!("{} did not answer in time", Self::ASKED))
            }
            Unfinished::Interrupted => ErrorCode::Interrupted
                .error(format!("{} failed half-way", Self::ASKED))
                .retry_in(SOON),
        }
    }
}

impl<E: OperationError> From<AskError<E>> for ApiError {
    fn from(error: AskError<E>) -> Self {
        E::not_begun(match error {
            AskError::Saturated { retry_after } => saturated(retry_after),
            AskError::CircuitOpen { retry_after } => ErrorCode::CircuitOpen
                .error("the integration has failed again and again and is left alone for a while")
                .retry_in(retry_after),
            AskError::Paused => ErrorCode::Paused
                .error("an operator paused the integration")
                .retry_in(DOWN),
            AskError::Restarting { retry_after } => ErrorCode::Restarting
                .error("the integration is starting")
                .retry_in(retry_after),
            AskError::Failed => ErrorCode::Failed
                .error("the integration failed too often, or hangs, and stays down until an operator restarts it")
                .retry_in(DOWN),
            AskError::DeadlineExceeded { begun: false } => {
                ErrorCode::DeadlineExceeded.error("the deadline passed before anything was sent")
            }
            AskError::DeadlineExceeded { begun: true } => return E::unfinished(Unfinished::Overdue),
            AskError::Interrupted => return E::unfinished(Unfinished::Interrupted),
            AskError::Reply(error) => return error.told(),
        })
    }
}

/// More is asked for than can be done at once.
pub(in crate::http) fn saturated(retry_after: Duration) -> ApiError {
    ErrorCode::Saturated
        .error("too many requests are in flight already")
        .retry_in(retry_after)
}

#[cfg(test)]
mod tests {
    use super::super::{AWAY, Outcome, Told, told};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An operation that may be repeated.
    struct Repeatable;

    impl OperationError for Repeatable {
        const ASKED: &'static str = "the source";

        fn told(self) -> ApiError {
            ErrorCode::NotConnected.error("away").retry_in(AWAY)
        }
    }

    /// One that may not.
    struct Once;

    impl OperationError for Once {
        const ASKED: &'static str = "the source";

        fn told(self) -> ApiError {
            ErrorCode::Rejected.error("refused").not_placed()
        }

        fn not_begun(error: ApiError) -> ApiError {
            error.not_placed()
        }

        fn unfinished(_: Unfinished) -> ApiError {
            ErrorCode::OriginateOutcomeUnknown.error("unknown")
        }
    }

    fn table<E>(reply: E) -> [AskError<E>; 9] {
        [
            AskError::Saturated { retry_after: SECOND },
            AskError::CircuitOpen {
                retry_after: SECOND * 3 / 2,
            },
            AskError::Paused,
            AskError::Restarting {
                retry_after: SECOND / 2,
            },
            AskError::Failed,
            AskError::DeadlineExceeded { begun: false },
            AskError::DeadlineExceeded { begun: true },
            AskError::Interrupted,
            AskError::Reply(reply),
        ]
    }

    #[test]
    fn whatever_an_actor_does_has_one_answer_and_an_operation_only_adds_what_differs() {
        let refusals: [(u16, &str, Option<u64>); 6] = [
            (503, "saturated", Some(1)),
            (503, "circuit_open", Some(2)),
            (503, "paused", Some(30)),
            (503, "restarting", Some(1)),
            (503, "failed", Some(30)),
            (504, "deadline_exceeded", None),
        ];
        let expected = |outcome, last: [Told; 3]| {
            let refused = refusals.map(|(status, code, retry)| (status, code, true, outcome, retry));
            refused.into_iter().chain(last).collect::<Vec<_>>()
        };
        let answers: Vec<Told> = table(Repeatable)
            .map(|error| told(&error.into()))
            .into_iter()
            .collect();
        let last = [
            (504, "deadline_exceeded", true, None, None),
            (503, "interrupted", true, None, Some(1)),
            (503, "not_connected", true, None, Some(5)),
        ];
        assert_eq!(answers, expected(None, last));
        let answers: Vec<Told> = table(Once).map(|error| told(&error.into())).into_iter().collect();
        let placed_not = Some(Outcome::NotPlaced);
        let unknown = (502, "originate_outcome_unknown", false, None, None);
        let last = [unknown, unknown, (502, "rejected", true, placed_not, None)];
        assert_eq!(answers, expected(placed_not, last));
    }
}
