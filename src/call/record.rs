//! The gateway's own resource: a call.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::telephony::{HangupCause, mask};

/// A call's id: a UUIDv7 of ours. On Asterisk it is the id of the call's first channel too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

impl CallId {
    /// A new one.
    #[must_use]
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }

    /// Whether it is the id of this channel too.
    #[must_use]
    pub fn is_of(self, channel: &str) -> bool {
        *self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *channel
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a call is in its life. The order is that of a call that goes well; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// The request left, and so far nothing more is known.
    Sent,
    /// The request left and no answer came: whether there is a call is not known. Resolved by asking the PBX, never
    /// by dialling again; what cannot be found out stays so.
    Unknown,
    /// The first party's phone rings.
    Ringing,
    /// The first party answered.
    Answered,
    /// Both parties are connected.
    Bridged,
    /// Over, with its cause.
    Ended,
    /// The PBX refused it: nothing was dialled.
    Rejected,
    /// It never left the gateway: nothing was dialled.
    Failed,
}

impl CallState {
    /// Its name in the API and the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Bridged => "bridged",
            Self::Ended => "ended",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        use CallState::{Answered, Bridged, Ended, Failed, Rejected, Ringing, Sent, Unknown};
        [Sent, Unknown, Ringing, Answered, Bridged, Ended, Rejected, Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// One channel of a call, from the PBX to one party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The PBX's id of the channel.
    pub channel_id: String,
    /// The PBX's name of it.
    pub name: String,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When the party answered.
    pub answered_at: Option<Timestamp>,
    /// When it was gone.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub cause: Option<HangupCause>,
}

/// A call with all that is known of it. `Debug` masks its numbers, for logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The integration that carries it, such as `asterisk.main`.
    pub integration: String,
    /// The gateway that placed it: others on the same ledger leave it alone.
    pub instance: String,
    /// The extension that is called first.
    pub extension: String,
    /// The external subscriber's number.
    pub number: String,
    /// Where it is in its life.
    pub state: CallState,
    /// Whether nothing more can become known of it.
    pub closed: bool,
    /// Counts its changes; of two records of a call the one with the greater revision holds.
    pub revision: u32,
    /// When the request left.
    pub sent_at: Timestamp,
    /// When the first party's phone rang.
    pub ringing_at: Option<Timestamp>,
    /// When the first party answered.
    pub answered_at: Option<Timestamp>,
    /// When both were connected.
    pub bridged_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; none where the end was not seen.
    pub cause: Option<HangupCause>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// Its channels, in the order they were seen.
    pub legs: Vec<Leg>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("integration", &self.integration)
            .field("extension", &mask(&self.extension))
            .field("number", &mask(&self.number))
            .field("state", &self.state)
            .field("closed", &self.closed)
            .field("revision", &self.revision)
            .field("sent_at", &self.sent_at)
            .field("ringing_at", &self.ringing_at)
            .field("answered_at", &self.answered_at)
            .field("bridged_at", &self.bridged_at)
            .field("ended_at", &self.ended_at)
            .field("cause", &self.cause)
            .field("error", &self.error)
            .field("legs", &self.legs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn call() -> Call {
        Call {
            id: CallId::mint(),
            integration: "asterisk.main".to_owned(),
            instance: "0123abcd".to_owned(),
            extension: "102".to_owned(),
            number: "79102223311".to_owned(),
            state: CallState::Sent,
            closed: false,
            revision: 1,
            sent_at: "2026-11-22T10:00:00.123456Z".parse().unwrap(),
            ringing_at: None,
            answered_at: None,
            bridged_at: None,
            ended_at: None,
            cause: None,
            error: None,
            legs: Vec::new(),
        }
    }

    #[test]
    fn logs_do_not_show_its_numbers() {
        let shown = format!("{:?}", call());
        assert!(
            !shown.contains("79102223311") && shown.contains("7910*****11"),
            "{shown}"
        );
    }

    #[test]
    fn states_are_in_the_order_of_a_call_that_goes_well() {
        use CallState::*;
        let order = [Sent, Unknown, Ringing, Answered, Bridged, Ended];
        assert!(order.is_sorted());
    }
}
