//! Databases: connections and errors, which is what the CDR store and the ledger have in common.

mod error;
mod postgres;
mod sqlite;
#[cfg(feature = "peers")]
#[cfg(test)]
pub(crate) mod testing;

pub use error::StoreError;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Connections;

/// An error of a migration, which quotes no values either.
pub(crate) fn migration(error: &refinery::Error) -> StoreError {
    StoreError::Unavailable(format!("its schema cannot be brought up to date: {error}"))
}
