//! What can go wrong with PAC.

/// Why PAC did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacError {
    /// No connection, or it was lost; for a read, nothing happened.
    #[error("PAC is not reachable: {0}")]
    Unavailable(String),
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
