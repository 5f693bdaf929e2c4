//! Classes of operations, and what an outcome says of the integration.

use serde::Serialize;
use utoipa::ToSchema;

use super::ask::AskError;

/// Operations that share permits and a circuit breaker: what stalls one class says nothing of another, and waits for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing: the only class that is ever repeated.
    Read,
    /// Changes what is stored.
    Write,
    /// Has somebody's telephone ring: sent once, whatever happens.
    Originate,
    /// Ends a call. With permits of its own it never waits for an originate.
    Hangup,
}

impl Class {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Originate => "originate",
            Self::Hangup => "hangup",
        }
    }
}

/// What the outcome of a request says of the integration that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it with a refusal, "not found" or "busy".
    Well,
    /// It did not answer, or with nonsense, or that it is out of order.
    Unwell,
    /// It was not asked.
    Unasked,
}

/// An error that knows what it says of the integration: a circuit breaker goes by it.
pub trait Judge {
    /// What it says.
    fn verdict(&self) -> Verdict;
}

/// The verdict on a reply.
pub(super) fn judge<T, E: Judge>(reply: &Result<T, AskError<E>>) -> Verdict {
    match reply {
        Ok(_) => Verdict::Well,
        Err(AskError::Reply(error)) => error.verdict(),
        Err(AskError::DeadlineExceeded { begun: true }) => Verdict::Unwell,
        // A fault or a decision of ours.
        Err(
            AskError::DeadlineExceeded { begun: false }
            | AskError::Interrupted
            | AskError::Saturated { .. }
            | AskError::CircuitOpen { .. }
            | AskError::Restarting { .. }
            | AskError::Paused
            | AskError::Failed,
        ) => Verdict::Unasked,
    }
}
