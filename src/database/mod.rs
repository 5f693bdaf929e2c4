//! Databases: SQLite and PostgreSQL, and statements that are written once for both.
//!
//! `Database::read` and `Database::write` give work a `Session`, whose statements have numbered parameters and whose
//! rows become what `FromRow` makes of them. For a single statement there are `Database::query` and
//! `Database::execute`.
//!
//! ```ignore
//! impl FromRow for Note {
//!     fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
//!         let Json(tags) = row.get(2)?;
//!         Ok(Self { id: row.get(0)?, text: row.get(1)?, tags, written_at: row.get(3)? })
//!     }
//! }
//!
//! /// A page of notes, the newest first, those with that text if one is given.
//! async fn page(database: &Database, before: Option<Uuid>, text: Option<String>) -> Result<Vec<Note>, StoreError> {
//!     let mut select = "SELECT id, text, tags, written_at FROM note WHERE id < $1".to_owned();
//!     let mut values = params![before.unwrap_or(Uuid::max())];
//!     if let Some(text) = text {
//!         values.push(text.into());
//!         write!(select, " AND text = ${}", values.len());
//!     }
//!     select.push_str(" ORDER BY id DESC LIMIT 100");
//!     database.query(select, values).await
//! }
//!
//! /// Deletes a note and counts it.
//! async fn delete(database: &Database, id: Uuid) -> Result<(), NoteError> {
//!     let write = async move |session: &Session<'_>| {
//!         let text = session.query_opt("DELETE FROM note WHERE id = $1 RETURNING text", params![id]).await?;
//!         let text: String = text.ok_or(NoteError::Unknown)?;
//!         session.execute("UPDATE deleted SET count = count + 1 WHERE text = $1", params![text]).await?;
//!         Ok(())
//!     };
//!     database.write(write).await
//! }
//! ```
//!
//! How a statement is written:
//!
//! * **Parameters** are `$1`, `$2`, …, each as often as it is needed. Whatever comes from outside is one. PostgreSQL must be
//!   able to tell each one's type from where it stands.
//! * **Moments** are `jiff::Timestamp`s to the microsecond: `timestamptz` in PostgreSQL, microseconds since 1970 in SQLite.
//!   A statement compares and sorts by them and computes nothing with them.
//! * **UUIDs** are `uuid` or `text` in PostgreSQL, and text in SQLite. All sort alike.
//! * **JSON** is written with `Value::json` and read as `Json`: `jsonb` or `text` in PostgreSQL, text in SQLite.
//! * **`NULL`** is an `Option`. A condition that does not apply is left out, as above, or compares with a value beyond all
//!   others: in `$1 IS NULL OR …` PostgreSQL finds no type, and SQLite no index.
//! * **Lists** of texts are one parameter, JSON; their condition is `Dialect::any`.
//! * **Pages** go by key, as above, with an index in that order. They are right whatever is written between two of them,
//!   which those by `OFFSET` are not. A long answer is read page by page: no transaction and no connection waits for whoever
//!   takes it.
//! * `ON CONFLICT`, `RETURNING`, `WITH` and window functions are the same in both. Where both must differ, a `Dialect` has the
//!   fragment.

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
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(1_800);

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
