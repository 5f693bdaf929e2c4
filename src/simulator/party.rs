//! What the parties of simulated calls do.

use std::collections::HashMap;
use std::sync::Mutex;

use super::lock::locked;

/// What a party does when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyBehaviour {
    /// Rings, then answers.
    Answers,
    /// Rings until the caller gives up.
    NeverAnswers,
    /// Rings, then refuses with a Q.850 cause and the SIP status that stands for it.
    Refuses {
        /// The Q.850 cause.
        cause: u16,
        /// The SIP status.
        sip_status: u16,
    },
}

impl PartyBehaviour {
    /// Busy: cause 17.
    pub const BUSY: Self = Self::Refuses {
        cause: 17,
        sip_status: 486,
    };
    /// Rejected: cause 21.
    pub const REJECTED: Self = Self::Refuses {
        cause: 21,
        sip_status: 603,
    };

    /// What a party does unless it was told otherwise, by the last digit of its number, so that everybody who tries
    /// the simulator can choose: 7 is busy, 8 never answers, 9 rejects, all others answer.
    pub fn of_number(number: &str) -> Self {
        match number.as_bytes().last() {
            Some(b'7') => Self::BUSY,
            Some(b'8') => Self::NeverAnswers,
            Some(b'9') => Self::REJECTED,
            Some(_) | None => Self::Answers,
        }
    }
}

/// What parties were told to do.
#[derive(Debug, Default)]
pub(super) struct Script {
    parties: Mutex<HashMap<String, PartyBehaviour>>,
}

impl Script {
    pub(super) fn set(&self, number: &str, behaviour: PartyBehaviour) {
        locked(&self.parties).insert(number.to_owned(), behaviour);
    }

    pub(super) fn behaviour(&self, number: &str) -> PartyBehaviour {
        let told = locked(&self.parties).get(number).copied();
        told.unwrap_or_else(|| PartyBehaviour::of_number(number))
    }
}
