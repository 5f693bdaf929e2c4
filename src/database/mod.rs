//! Databases: connections and errors, which is what the CDR store and the ledger have in common.

mod error;
mod postgres;
mod schema;
mod sqlite;
#[cfg(feature = "peers")]
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

pub use error::StoreError;
pub(crate) use postgres::Postgres;
pub use schema::Schema;
pub(crate) use schema::{schema_of_database, schema_of_file};
pub(crate) use sqlite::Connections;

/// How long bringing a schema up to date may take: an index over a large table takes minutes.
const MIGRATION: Duration = Duration::from_secs(1_800);

/// An error of a migration, which quotes no values either.
fn migration(error: &refinery::Error) -> StoreError {
    StoreError::Unavailable(format!("its schema cannot be brought up to date: {error}"))
}
