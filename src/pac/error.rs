//! What can go wrong with PAC.

use crate::actor::{Classify, FailureClass};
use crate::printable::one_line;

/// Why PAC did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacError {
    /// No connection, or it was lost; for a read, nothing happened.
    #[error("PAC is not reachable: {0}")]
    Unavailable(String),
    /// A command left and no answer came in time: whether 3CX carried it out is not known.
    #[error("PAC did not confirm the command in time")]
    NoAnswer,
    /// A command left and no answer came: whether 3CX carried it out is not known.
    #[error("PAC did not confirm the command: {0}")]
    OutcomeUnknown(String),
    /// PAC's own refusal: `result = false`, or a database error inside an OK reply.
    #[error("PAC refused: {0}")]
    Rejected(String),
    /// A gRPC status other than OK.
    #[error("PAC answered {code}: {message}")]
    Status {
        /// The status' name, such as `INTERNAL`.
        code: &'static str,
        /// Its text.
        message: String,
    },
    /// A reply over the limit.
    #[error("PAC's reply is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A reply that is not what its type says.
    #[error("PAC's reply makes no sense: {0}")]
    Decode(String),
}

impl Classify for PacError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::NoAnswer => FailureClass::TimedOut,
            Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::Decode(_) => FailureClass::Failed,
            // It answered, a status included: 3CX says `INTERNAL` of one bad row.
            Self::Rejected(_) | Self::Status { .. } | Self::TooLarge { .. } => FailureClass::Answered,
        }
    }
}

/// The address of a 3CX's PAC is not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pac.{name}.address must be host:port, not {address:?}")]
pub struct InvalidPacAddress {
    /// The name of the 3CX in the settings.
    pub(super) name: String,
    /// What it is.
    pub(super) address: String,
}

/// PAC's own words, fit for logs and replies: the first line, not too long, long runs of digits blanked, since
/// they may be somebody's number.
pub(super) fn sanitize(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.trim_start().lines().next().unwrap_or_default();
    let mut sanitized = String::new();
    let mut digits = String::new();
    for c in one_line(line).chars().take(LONGEST).chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            sanitized.push_str(if digits.len() > 4 { "…" } else { &digits });
            digits.clear();
            sanitized.push(c);
        }
    }
    sanitized.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn tames_what_pac_says() {
        assert_eq!(sanitize("  all well\nsecond line"), "all well");
        assert_eq!(
            sanitize("no route to +79102223311 from 1012"),
            "no route to +… from 1012"
        );
        assert_eq!(sanitize(&"x".repeat(1_000)).len(), 200);
        assert_eq!(sanitize(""), "");
    }
}
