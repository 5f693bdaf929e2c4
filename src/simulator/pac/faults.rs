//! What PAC can be made to do wrong, and what was asked of it.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::simulator::lock::locked;
use crate::simulator::plan::{HowOften, Plan};

/// A kind of request to PAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacOperation {
    /// `ExecuteSql`.
    ExecuteSql,
    /// `MakeCall`.
    MakeCall,
    /// Any other.
    Other,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacFault {
    /// It is taken and never answered.
    Hang,
    /// It is answered this much later.
    Delay(Duration),
    /// It fails with UNAVAILABLE.
    Unavailable,
    /// Its status is OK, and the reply holds this error. Of an `ExecuteSql` it is the `error`, of a command the
    /// `message` beside a false `result`; the other operations have no place for one and ignore it.
    ErrorText(String),
    /// The reply to an `ExecuteSql` has this `result`, whatever it is.
    Result(String),
    /// It is carried out, and the reply is one message of so many bytes and a few, which is made as it is sent: of an
    /// `ExecuteSql` a `result` of one text; to the others it makes no sense.
    Oversized(usize),
    /// It is carried out, and the reply's message is these bytes, whatever they are.
    Message(Bytes),
    /// It is carried out, and the reply is these bytes without even a frame, whatever they are.
    Body(Bytes),
    /// It is carried out, and the connection is dropped instead of an answer.
    DropConnection,
}

/// How many requests there were of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCount {
    /// All that came.
    pub received: u64,
    /// Those whose client went away before the answer.
    pub cancelled: u64,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Plan<PacOperation, PacFault>,
    counts: Mutex<HashMap<PacOperation, RequestCount>>,
    /// How many bytes of oversized replies went.
    pub(super) oversized: Arc<AtomicU64>,
}

impl Faults {
    pub(super) fn plan(&self, operation: PacOperation, fault: PacFault, often: HowOften) {
        self.planned.set(operation, fault, often);
    }

    pub(super) fn clear(&self) {
        self.planned.clear();
    }

    pub(super) fn count(&self, operation: PacOperation) -> RequestCount {
        locked(&self.counts).get(&operation).copied().unwrap_or_default()
    }

    /// Counts a request, until the guard is told that it was answered as one whose client went away. The fault that
    /// strikes it comes along.
    pub(super) fn request(&self, operation: PacOperation) -> (Option<PacFault>, Unanswered<'_>) {
        locked(&self.counts).entry(operation).or_default().received += 1;
        let guard = Unanswered {
            faults: self,
            operation,
            answered: false,
        };
        (self.planned.strike(operation), guard)
    }
}

/// A request without an answer so far.
#[derive(Debug)]
pub(super) struct Unanswered<'a> {
    faults: &'a Faults,
    operation: PacOperation,
    answered: bool,
}

impl Unanswered<'_> {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            locked(&self.faults.counts)
                .entry(self.operation)
                .or_default()
                .cancelled += 1;
        }
    }
}
