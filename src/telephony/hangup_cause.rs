//! Why a channel ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Q.850 cause as Asterisk reports it (`include/asterisk/causes.h`); 0 is "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HangupCause(pub u16);

impl HangupCause {
    /// Normal call clearing.
    pub const NORMAL: Self = Self(16);
    /// User busy.
    pub const BUSY: Self = Self(17);

    /// The cause's name in Q.850, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "not known",
            1 => "unallocated number",
            3 => "no route to destination",
            16 => "normal clearing",
            17 => "user busy",
            18 => "no user responding",
            19 => "no answer",
            20 => "subscriber absent",
            21 => "call rejected",
            22 => "number changed",
            26 => "answered elsewhere",
            27 => "destination out of order",
            28 => "invalid number format",
            31 => "normal, unspecified",
            34 => "no circuit available",
            38 => "network out of order",
            41 => "temporary failure",
            42 => "switching equipment congestion",
            58 => "bearer capability not available",
            102 => "recovery on timer expiry",
            127 => "interworking",
            _ => "other",
        }
    }
}

impl fmt::Display for HangupCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}
