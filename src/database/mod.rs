//! Opening databases: what the CDR store and the ledger have in common, which is no more than their drivers.

mod postgres;
mod sqlite;
#[cfg(feature = "peers")]
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use postgres::PostgresPool;
pub(crate) use sqlite::{Durability, SqliteFile};

/// Why a database did not do what it was asked. The text never has values of rows in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// No connection became free in time.
    #[error("all connections are in use")]
    PoolTimeout,
    /// It cannot be opened or reached.
    #[error("{0}")]
    Unavailable(String),
    /// It refused a statement.
    #[error("{0}")]
    Query(String),
}
