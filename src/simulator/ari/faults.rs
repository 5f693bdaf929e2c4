//! What ARI can be made to do wrong, and what was asked of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::lock::locked;
use crate::simulator::plan::Plan;

/// How many originates are remembered.
const MAX_ORIGINATES: usize = 100_000;

/// A kind of request to ARI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AriOperation {
    /// An originate.
    Originate,
    /// A hang-up.
    Hangup,
    /// Setting an application's subscriptions or its event filter.
    Application,
    /// Opening an event socket.
    Connect,
    /// Any other.
    Other,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AriFault {
    /// It is taken, never carried out and never answered, for as long as its client waits.
    Hang,
    /// It is carried out and answered this much later.
    Delay(Duration),
    /// It is not carried out; the answer is 500 with a body that is no JSON.
    ServerError,
    /// It is carried out, and the connection is dropped instead of an answer.
    LoseAnswer,
    /// It is carried out; the answer is 200 and says that this is JSON, whatever it is. No socket is opened.
    Body(String),
    /// It is carried out; the answer is 200 and a JSON text of so many bytes, which does not say its length first and is
    /// made as it is sent. No socket is opened.
    Oversized(usize),
}

/// An originate as it was received, whether it was then accepted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedOriginate {
    /// When.
    pub at: Timestamp,
    /// The channel's id, where the client chose one.
    pub channel_id: Option<String>,
    /// The dial string with its technology.
    pub endpoint: String,
    /// The application, where there was one.
    pub app: Option<String>,
    /// The extension to dial once answered.
    pub extension: Option<String>,
    /// The dialplan context.
    pub context: Option<String>,
    /// The caller's name and number.
    pub caller_id: Option<String>,
    /// How long to ring, in seconds, as it was given.
    pub timeout: Option<String>,
}

/// What is planned, and what was received.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) faults: Plan<AriOperation, AriFault>,
    originates: Mutex<VecDeque<ReceivedOriginate>>,
    requests: Mutex<BTreeMap<String, u64>>,
    /// How many bytes of oversized answers went.
    pub(super) oversized: Arc<AtomicU64>,
}

impl Journal {
    pub(super) fn request(&self, method: &str, path: &str) {
        let line = format!("{method} {path}");
        *locked(&self.requests).entry(line).or_default() += 1;
    }

    pub(super) fn requests(&self) -> BTreeMap<String, u64> {
        locked(&self.requests).clone()
    }

    pub(super) fn originate(&self, originate: ReceivedOriginate) {
        let mut originates = locked(&self.originates);
        if originates.len() == MAX_ORIGINATES {
            originates.pop_front();
        }
        originates.push_back(originate);
    }

    pub(super) fn originates(&self) -> Vec<ReceivedOriginate> {
        locked(&self.originates).iter().cloned().collect()
    }
}
