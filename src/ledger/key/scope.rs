//! What a key is good for.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of request that a key may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Placing calls and hanging them up.
    #[serde(rename = "calls:write")]
    CallsWrite,
    /// Looking calls up. Whoever may place calls may do this too.
    #[serde(rename = "calls:read")]
    CallsRead,
    /// Reading CDRs.
    #[serde(rename = "cdr:read")]
    CdrRead,
    /// Listening to recordings.
    #[serde(rename = "recordings:read")]
    RecordingsRead,
    /// Reading the state of the gateway: status and metrics.
    #[serde(rename = "status:read")]
    StatusRead,
    /// Making and revoking keys, reading the audit, and operating integrations.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::CallsWrite,
        Self::CallsRead,
        Self::CdrRead,
        Self::RecordingsRead,
        Self::StatusRead,
        Self::Admin,
    ];

    /// Its name, as requests and documents have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallsWrite => "calls:write",
            Self::CallsRead => "calls:read",
            Self::CdrRead => "cdr:read",
            Self::RecordingsRead => "recordings:read",
            Self::StatusRead => "status:read",
            Self::Admin => "admin",
        }
    }

    /// Whether who has this one may do what the other stands for.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == other || (self, other) == (Self::CallsWrite, Self::CallsRead)
    }

    /// The scope of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_name_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::from_name("Admin"), None);
    }
}
