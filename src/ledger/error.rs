//! What can go wrong with the ledger.

/// Why the ledger did not do what it was asked. Nothing was written, or all of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The ledger cannot be reached or opened.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// The ledger refused a statement.
    #[error("the ledger failed: {0}")]
    Query(String),
    /// The ledger holds something that is no call.
    #[error("the ledger holds a record that makes no sense: {0}")]
    Decode(String),
}
