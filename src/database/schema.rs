//! How far a store's schema has come, found out without changing it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension as _};
use rustix::fs::{Access, access};
use tokio::time::timeout;

use super::sqlite::is_open_to_others;
use super::{Migrations, Postgres, StoreError};
use crate::settings::StoreUrl;

/// A store's schema as it was found, and as this program has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The latest migration that was applied; 0 where there is no schema yet.
    pub found: i32,
    /// The latest migration that this program knows.
    pub known: i32,
    /// Whether it is a file that other users of this machine may read.
    pub open_to_others: bool,
}

impl Schema {
    /// Looks at a store's schema. A file is not made when it is not there.
    ///
    /// # Errors
    /// When the database cannot be reached; when the file, or its directory where there is no file yet, cannot be
    /// written; when the schema is of a later version of the program than this one.
    ///
    /// # Cancel safety
    /// Only reads.
    pub(crate) async fn of(
        url: &StoreUrl,
        time_limit: Duration,
        migrations: &Migrations,
    ) -> Result<Self, StoreError> {
        let (found, known) = match url {
            StoreUrl::Sqlite(file) => (
                of_file(file, time_limit, migrations.history).await?,
                (migrations.sqlite)(),
            ),
            StoreUrl::Postgres(url) => (
                of_database(url, time_limit, migrations.history).await?,
                (migrations.postgres)(),
            ),
        };
        let versions = known.get_migrations().iter();
        let known = versions
            .map(refinery::Migration::version)
            .max()
            .unwrap_or_default();
        let found = found.unwrap_or_default();
        if found > known {
            return Err(StoreError::Unavailable(format!(
                "its schema has version {found}, and this program knows only {known}: it is of a later one"
            )));
        }
        let open_to_others = match url {
            StoreUrl::Sqlite(file) => is_open_to_others(file),
            StoreUrl::Postgres(_) => false,
        };
        Ok(Self {
            found,
            known,
            open_to_others,
        })
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }

    /// Whether nothing is to be done.
    pub fn is_current(&self) -> bool {
        self.found == self.known
    }
}

/// What is still to be done: nothing, when it is up to date and nobody else can read it.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, known, .. } = self;
        match found {
            _ if self.is_current() => {}
            0 => f.write_str("empty: the start makes its schema")?,
            _ => write!(f, "the start brings its schema from version {found} to {known}")?,
        }
        if self.open_to_others {
            let between = if self.is_current() { "" } else { "; " };
            write!(
                f,
                "{between}other users of this machine may read its file: chmod 600"
            )?;
        }
        Ok(())
    }
}

async fn of_file(
    file: &Path,
    time_limit: Duration,
    history: &'static str,
) -> Result<Option<i32>, StoreError> {
    let file = file.to_owned();
    let read = move || applied(&file, time_limit, history);
    match timeout(time_limit, tokio::task::spawn_blocking(read)).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(StoreError::Unavailable("the store is closing".to_owned())),
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}

fn applied(file: &Path, time_limit: Duration, history: &str) -> Result<Option<i32>, StoreError> {
    if !file.exists() {
        let directory = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        return match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Ok(None),
            Err(error) => Err(StoreError::Unavailable(format!("its directory: {error}"))),
        };
    }
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(time_limit)?;
    if connection.is_readonly(MAIN_DB)? {
        return Err(StoreError::Unavailable("the file cannot be written".to_owned()));
    }
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let table = connection.query_row(table, [history], |_| Ok(())).optional()?;
    match table {
        None => Ok(None),
        Some(()) => Ok(connection.query_row(&latest(history), [], |row| row.get(0))?),
    }
}

async fn of_database(url: &str, time_limit: Duration, history: &str) -> Result<Option<i32>, StoreError> {
    let database = Postgres::new(url, 1, time_limit)?;
    let read = async {
        let client = database.get().await?;
        let there = client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&history])
            .await?;
        if !there.try_get(0)? {
            return Ok(None);
        }
        Ok(client.query_one(&latest(history), &[]).await?.try_get(0)?)
    };
    database.bounded(read).await
}

/// The name is one of ours: the table is the same in both databases.
fn latest(history: &str) -> String {
    format!("SELECT max(version) FROM {history}")
}
