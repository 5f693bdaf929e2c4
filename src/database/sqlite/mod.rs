//! A SQLite file: one connection that writes, several that only read.

mod connections;
mod error;

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use refinery::Runner;
use rusqlite::{Connection, TransactionBehavior};

pub(crate) use self::connections::Connections;
use super::{Session, StoreError};

/// A file, opened.
#[derive(Debug)]
pub(crate) struct Sqlite {
    /// The connection that writes. Each commit reaches the disk.
    pub(crate) writer: Connections,
    /// Those that only read.
    pub(crate) readers: Connections,
}

impl Sqlite {
    /// Opens or makes the file and brings its schema up to date; `history` names the table of what was applied. The file's
    /// directory must exist.
    pub(super) async fn open(
        file: &Path,
        readers: usize,
        timeout: Duration,
        migrations: Runner,
        history: &str,
    ) -> Result<Self, StoreError> {
        // The journal's mode belongs to the file, so the readers, opened later, find it set.
        let writer = Connections::new(file, 1, timeout, |connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "journal_size_limit", 64 << 20)
        });
        writer.migrate(migrations, history).await?;
        let readers = Connections::new(file, readers, timeout, |connection| {
            connection.pragma_update(None, "query_only", true)
        });
        Ok(Self { writer, readers })
    }

    /// See [`Database::read`](super::Database::read).
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let read = move |connection: &mut Connection| at_once(work(&Session::Sqlite(connection)))?;
        self.readers.with(read).await
    }

    /// See [`Database::write`](super::Database::write).
    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    {
        let write = move |connection: &mut Connection| {
            // Whoever wrote before may have had no need of the disk.
            connection.pragma_update(None, "synchronous", "full")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = at_once(work(&Session::Sqlite(&transaction)))?;
            if done.is_ok() {
                transaction.commit()?;
            }
            Ok(done)
        };
        self.writer.with(write).await?
    }
}

/// What work comes to that never waits, as that of statements here.
fn at_once<T>(work: impl Future<Output = T>) -> Result<T, StoreError> {
    let waits = || StoreError::Unavailable("its work waits for something else: a bug".to_owned());
    work.now_or_never().ok_or_else(waits)
}
