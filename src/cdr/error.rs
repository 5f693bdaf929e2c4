//! What can go wrong with the CDR store.

/// Why the store did not do what it was asked. Nothing was written, or all of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    /// No connection became free in time.
    #[error("the CDR store's connections are all in use")]
    PoolTimeout,
    /// The store cannot be reached or opened.
    #[error("the CDR store is not available: {0}")]
    Unavailable(String),
    /// The store refused a statement.
    #[error("the CDR store failed: {0}")]
    Query(String),
    /// The store holds something that is no CDR.
    #[error("the CDR store holds a row that makes no sense: {0}")]
    Decode(String),
}
