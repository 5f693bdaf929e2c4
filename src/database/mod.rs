//! Databases: SQLite and PostgreSQL, and statements that are written once for both.
//!
//! [`Database::read`] and [`Database::write`] give work a [`Session`], whose statements have numbered parameters and whose
//! rows become what [`FromRow`] makes of them. For one statement there are [`Database::query`] and [`Database::execute`].
//!
//! ```ignore
//! impl FromRow for ApiKey {
//!     fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
//!         let Json(scopes) = row.get(2)?;
//!         Ok(Self { id: KeyId(row.get(0)?), name: row.get(1)?, scopes, created_at: row.get(3)?, revoked_at: row.get(4)? })
//!     }
//! }
//!
//! const KEYS: &str = "SELECT id, name, scopes, created_at, revoked_at FROM ledger_key WHERE id > $1 ORDER BY id LIMIT $2";
//! let page: Vec<ApiKey> = database.query(KEYS, params![after, limit]).await?;
//!
//! let name: String = database
//!     .write(async move |session| {
//!         let revoke = "UPDATE ledger_key SET revoked_at = $2 WHERE id = $1 RETURNING name";
//!         let name: Option<String> = session.query_opt(revoke, params![id.0, now()]).await?;
//!         let name = name.ok_or(KeyError::Unknown)?;
//!         session.execute("UPDATE ledger_key_generation SET generation = generation + 1", params![]).await?;
//!         Ok(name)
//!     })
//!     .await?;
//! ```
//!
//! What a statement is written with:
//!
//! * **Parameters** are `$1`, `$2`, …, each as often as it is needed. Whatever comes from outside is one.
//! * **Moments** are [`jiff::Timestamp`]s: `timestamptz` in PostgreSQL and microseconds since 1970 in SQLite, where both cut
//!   off what is less. Compare and sort by them; nothing else is done to a moment in SQL.
//! * **UUIDs** are `uuid` or `text` in PostgreSQL, and text in SQLite. Both sort alike.
//! * **JSON** is written with [`Value::json`] and read as [`Json`]: `jsonb` or `text` in PostgreSQL, text in SQLite.
//! * **`NULL`** is an [`Option`]. `$1 IS NULL` finds no type in PostgreSQL and keeps SQLite from its index: leave the
//!   condition out, or compare with what lies beyond every value.
//! * **Filters** are put together with their values: push the value, then write its number, which is
//!   the values' length.
//! * **Lists** of texts are one parameter, JSON, and their condition is the [`Dialect`]'s [`any`](Dialect::any).
//! * **Pages** go by key: `WHERE id < $1 ORDER BY id DESC LIMIT $2`, with an index that has that order and, for the first
//!   page, a key beyond all others. A page is right whatever is written between two; `OFFSET` is not.
//! * **Long answers** are pages too, each a read of its own: no transaction and no connection waits for a reader.
//! * Both databases know `ON CONFLICT`, `RETURNING`, `WITH`, window functions and `CASE`.

mod error;
mod postgres;
mod row;
mod schema;
mod session;
mod sqlite;
#[cfg(feature = "peers")]
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod value;
mod work;

use std::time::Duration;

pub use error::StoreError;
pub(crate) use postgres::Postgres;
use refinery::Runner;
pub(crate) use row::{FromRow, Row};
pub use schema::Schema;
pub(crate) use session::Session;
pub(crate) use sqlite::Sqlite;
pub(crate) use value::{Json, Value};

use crate::settings::StoreUrl;

/// How long bringing a schema up to date may take: an index over a large table takes minutes.
const MIGRATION: Duration = Duration::from_secs(1_800);

/// An error of a migration, which quotes no values either.
fn migration(error: &refinery::Error) -> StoreError {
    StoreError::Unavailable(format!("its schema cannot be brought up to date: {error}"))
}

/// The values of a statement's parameters, in their order.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::database::Value::from($value)),*]
    };
}
pub(crate) use params;

/// The schema of a store: migrations for either database, and the table that says which of them were applied.
#[derive(Debug)]
pub(crate) struct Migrations {
    pub(crate) sqlite: fn() -> Runner,
    pub(crate) postgres: fn() -> Runner,
    pub(crate) history: &'static str,
}

/// Where a statement must differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

impl Dialect {
    /// The condition that a text is in the list of the parameter of that number: `WHERE id {any}`.
    pub(crate) fn any(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each(${parameter}))"),
            Self::Postgres => format!("= ANY(${parameter})"),
        }
    }
}

/// A store's database.
#[derive(Debug)]
pub(crate) enum Database {
    /// A SQLite file.
    Sqlite(Sqlite),
    /// A PostgreSQL database.
    Postgres(Postgres),
}

impl Database {
    /// Opens the database and brings its schema up to date. It has `readers` connections that read, and one that writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached; trying again may help.
    ///
    /// # Cancel safety
    /// May be dropped: each migration is applied as a whole or not at all.
    pub(crate) async fn open(
        url: &StoreUrl,
        readers: usize,
        timeout: Duration,
        migrations: &Migrations,
    ) -> Result<Self, StoreError> {
        let history = migrations.history;
        match url {
            StoreUrl::Sqlite(file) => {
                let sqlite = Sqlite::open(file, readers, timeout, (migrations.sqlite)(), history);
                Ok(Self::Sqlite(sqlite.await?))
            }
            StoreUrl::Postgres(url) => {
                let postgres = Postgres::new(url, readers + 1, timeout)?;
                postgres.migrate((migrations.postgres)(), history).await?;
                Ok(Self::Postgres(postgres))
            }
        }
    }

    /// Which of the two it is, for statements that must differ.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }
}
