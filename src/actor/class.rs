//! Classes of operations, and classes of failures: what an outcome says of the integration.

use std::fmt::Display;

use crate::words::words;

words! {
    /// Operations that share permits and a circuit breaker: what stalls one class says nothing of another, and waits for none.
    Class {
        /// Changes nothing: the only class that is ever repeated.
        Read = "read",
        /// Changes what is stored.
        Write = "write",
        /// Has somebody's telephone ring: sent once, whatever happens.
        Originate = "originate",
        /// Ends a call. With permits of its own it never waits for an originate.
        Hangup = "hangup",
    }
}

/// What the outcome of a request says of the integration that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// It answered, be it with a refusal, "not found" or "busy".
    Answered,
    /// It answered with nonsense, or that it is out of order, or could not be reached.
    Failed,
    /// It was asked, and did not answer in time.
    TimedOut,
    /// It was not asked.
    NotAsked,
}

impl FailureClass {
    /// Whether it counts against the integration.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// An error that knows its class: a circuit breaker goes by it. Its words are shown to operators, and hold no telephone number.
pub trait Classify: Display {
    /// What it says of the integration.
    fn failure_class(&self) -> FailureClass;
}
