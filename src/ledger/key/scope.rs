//! What a key is good for.

use std::fmt;

use crate::words::words;

words! {
    /// A kind of request that a key may be allowed.
    Scope {
        /// Placing calls and hanging them up.
        CallsWrite = "calls:write",
        /// Looking calls up. Whoever may place calls may do this too.
        CallsRead = "calls:read",
        /// Reading CDRs.
        CdrRead = "cdr:read",
        /// Listening to recordings.
        RecordingsRead = "recordings:read",
        /// Reading the state of the gateway: status and metrics.
        StatusRead = "status:read",
        /// Making and revoking keys, reading the audit, and operating integrations.
        Admin = "admin",
    }
}

impl Scope {
    /// Whether who has this one may do what the other stands for.
    pub fn includes(self, other: Self) -> bool {
        self == other || (self, other) == (Self::CallsWrite, Self::CallsRead)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
