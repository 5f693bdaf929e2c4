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

use std::time::Duration;

pub use error::StoreError;
pub(crate) use postgres::Postgres;
use refinery::Runner;
pub(crate) use row::{FromRow, Row};
pub use schema::Schema;
pub(crate) use session::Session;
pub(crate) use sqlite::{Connections, Sqlite};
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

    /// Does work that only reads, within the store's time-out: waiting for a connection is part of it. Each statement sees
    /// what was committed when it began.
    ///
    /// On SQLite all of the work is done on the connection's thread, so it owns what it uses, and may await nothing but
    /// its session.
    ///
    /// # Errors
    /// [`StoreError::PoolTimeout`] where no connection becomes free; [`StoreError::Unavailable`] where the database does not
    /// answer in time; and what the work returns.
    ///
    /// # Cancel safety
    /// May be dropped. The connection is busy until its statement ends, which the same deadline sees to.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(work).await,
            Self::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Does work in a transaction, as [`read`](Self::read) does, and commits it; an error of the work rolls it back. What
    /// was written is on the disk once this returns.
    ///
    /// On SQLite there is one writer at a time from the beginning of the work. On PostgreSQL there are many, each of
    /// whose statements sees what others committed meanwhile: where the work decides by what it read, it locks that first
    /// by an update of a row.
    ///
    /// # Errors
    /// As [`read`](Self::read). After [`StoreError::Unavailable`] it may have been done all the same.
    ///
    /// # Cancel safety
    /// May be dropped: the work is then done as a whole or not at all.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(work).await,
            Self::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// One statement that only reads, see [`Session::query`].
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    pub(crate) async fn query<T>(
        &self,
        sql: impl AsRef<str> + Send + 'static,
        values: Vec<Value>,
    ) -> Result<Vec<T>, StoreError>
    where
        T: FromRow + Send + 'static,
    {
        self.read(async move |session: &Session<'_>| session.query(sql.as_ref(), values).await)
            .await
    }

    /// One statement that only reads and has one row, see [`Session::query_one`].
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    pub(crate) async fn query_one<T>(&self, sql: &'static str, values: Vec<Value>) -> Result<T, StoreError>
    where
        T: FromRow + Send + 'static,
    {
        self.read(async move |session: &Session<'_>| session.query_one(sql, values).await)
            .await
    }

    /// One statement that writes, see [`Session::execute`].
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub(crate) async fn execute(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.write(async move |session: &Session<'_>| session.execute(sql, values).await)
            .await
    }

    /// Asks for an answer and nothing else: on SQLite the connection that writes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// Only reads.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => {
                let ask = |connection: &mut rusqlite::Connection| {
                    Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)
                };
                sqlite.writer.with(ask).await
            }
            Self::Postgres(postgres) => {
                let ask = async { Ok(postgres.get().await?.batch_execute("SELECT 1").await?) };
                postgres.bounded(ask).await
            }
        }
    }
}
