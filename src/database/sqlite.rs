//! A SQLite file: one writer, a few readers, write-ahead log.

use std::path::Path;
use std::time::Duration;

use deadpool_sqlite::{
    Config, Hook, HookError, InteractError, Pool, PoolConfig, PoolError, Runtime, Timeouts,
};
use rusqlite::{Connection, ErrorCode};

use super::DatabaseError;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut: each commit reaches the disk first.
    Full,
    /// The end of the process; a power cut may take the latest commits, which can be had again.
    Normal,
}

impl Durability {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// The connections to one file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteFile {
    writer: Pool,
    readers: Pool,
}

impl SqliteFile {
    /// Opens or makes the file and brings its schema up to date.
    pub(crate) async fn open(
        path: &Path,
        durability: Durability,
        readers: usize,
        timeout: Duration,
        migrate: impl FnOnce(&mut Connection) -> Result<(), refinery::Error> + Send + 'static,
    ) -> Result<Self, DatabaseError> {
        let file = Self {
            writer: pool(path, durability, 1, timeout, false)?,
            readers: pool(path, durability, readers, timeout, true)?,
        };
        // The first use of the writer makes the file; readers come after.
        let migrated: Result<(), String> = run(&file.writer, |connection| {
            Ok(migrate(connection).map_err(|error| error.to_string()))
        })
        .await?;
        migrated.map_err(DatabaseError::Unavailable)?;
        Ok(file)
    }

    /// Reads.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        run(&self.readers, query).await
    }

    /// Writes, alone. Given up half-way, the statements still run to their end on the writer's thread.
    pub(crate) async fn write<T, F>(&self, statements: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        run(&self.writer, statements).await
    }
}

fn pool(
    path: &Path,
    durability: Durability,
    size: usize,
    timeout: Duration,
    read_only: bool,
) -> Result<Pool, DatabaseError> {
    let mut config = Config::new(path);
    let timeouts = Timeouts {
        wait: Some(timeout),
        create: Some(timeout),
        recycle: Some(timeout),
    };
    config.pool = Some(PoolConfig {
        max_size: size,
        timeouts,
        ..PoolConfig::default()
    });
    config
        .builder(Runtime::Tokio1)
        .map_err(|error| DatabaseError::Unavailable(error.to_string()))?
        .post_create(Hook::async_fn(move |connection, _| {
            Box::pin(async move {
                connection
                    .interact(move |connection| prepare(connection, durability, timeout, read_only))
                    .await
                    .map_err(|error| HookError::message(error.to_string()))?
                    .map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|error| DatabaseError::Unavailable(error.to_string()))
}

fn prepare(
    connection: &mut Connection,
    durability: Durability,
    timeout: Duration,
    read_only: bool,
) -> rusqlite::Result<()> {
    connection.busy_timeout(timeout)?;
    if read_only {
        connection.pragma_update(None, "query_only", true)
    } else {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", durability.pragma())?;
        connection.pragma_update(None, "foreign_keys", true)
    }
}

async fn run<T, F>(pool: &Pool, query: F) -> Result<T, DatabaseError>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let connection = pool.get().await.map_err(|error| match error {
        PoolError::Timeout(_) => DatabaseError::PoolTimeout,
        PoolError::Backend(_)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_) => DatabaseError::Unavailable(error.to_string()),
    })?;
    match connection.interact(query).await {
        Ok(result) => result.map_err(|error| from_sqlite(&error)),
        Err(InteractError::Panic(_)) => Err(DatabaseError::Query("a statement panicked".to_owned())),
        Err(InteractError::Cancelled) => {
            Err(DatabaseError::Unavailable("the connection is closed".to_owned()))
        }
    }
}

fn from_sqlite(error: &rusqlite::Error) -> DatabaseError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::PoolTimeout,
        Some(
            code @ (ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure),
        ) => DatabaseError::Unavailable(format!("{code:?}")),
        // SQLite's words name tables and constraints, never values.
        _ => DatabaseError::Query(error.to_string()),
    }
}
