//! The store in one SQLite file: one connection that writes, several that only read.

mod error;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_sqlite::{Config, Hook, HookError, InteractError, Manager, Pool, Runtime};
use rusqlite::Connection;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::tombstone::TombstoneKey;
use super::{Batch, CdrRange, CdrStore, Changes, LegacyRow, Position, sql};
use crate::cdr::error::CdrError;
use crate::cdr::record::{Cdr, Recording, Sourced};

mod embedded {
    refinery::embed_migrations!("src/cdr/store/migrations/sqlite");
}

/// How many of SQLite's steps lie between two looks at the clock: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// The store in a file.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: Pool,
    readers: Pool,
    timeout: Duration,
    tombstone_key: Arc<TombstoneKey>,
}

impl Sqlite {
    /// Opens or makes the file and brings its schema up to date. Its directory must exist.
    pub(super) async fn open(file: &Path, readers: usize, timeout: Duration) -> Result<Self, CdrError> {
        // The journal's mode belongs to the file, so the readers, opened later, find it set.
        let writer = pool(file, 1, timeout, |connection, timeout| {
            connection.busy_timeout(timeout)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            // A commit can be lost with the machine's power, with its position: the collector reads it again.
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.pragma_update(None, "journal_size_limit", 64 << 20)
        })?;
        let tombstone_key = within(&writer, timeout, |connection| {
            embedded::migrations::runner()
                .set_migration_table_name("cdr_schema_history")
                .run(connection)
                .map_err(|error| super::migration(&error))?;
            let key: Vec<u8> = connection.query_row(sql::TOMBSTONE_KEY, [], |row| row.get(0))?;
            TombstoneKey::new(&key)
        })
        .await?;
        let readers = pool(file, readers, timeout, |connection, timeout| {
            connection.busy_timeout(timeout)?;
            connection.pragma_update(None, "query_only", true)
        })?;
        Ok(Self {
            writer,
            readers,
            timeout,
            tombstone_key: tombstone_key.into(),
        })
    }

    async fn read<T, F>(&self, work: F) -> Result<T, CdrError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, CdrError> + Send + 'static,
    {
        within(&self.readers, self.timeout, work).await
    }
}

/// A pool whose connections are prepared by `prepare`. Nothing is opened yet.
fn pool(
    file: &Path,
    size: usize,
    timeout: Duration,
    prepare: fn(&Connection, Duration) -> rusqlite::Result<()>,
) -> Result<Pool, CdrError> {
    let manager = Manager::from_config(&Config::new(file), Runtime::Tokio1);
    let prepare = Hook::async_fn(move |connection, _| {
        Box::pin(async move {
            let done = connection
                .interact(move |connection| prepare(connection, timeout))
                .await;
            match done {
                Ok(done) => done.map_err(HookError::Backend),
                Err(error) => Err(HookError::message(error.to_string())),
            }
        })
    });
    Pool::builder(manager)
        .max_size(size)
        .wait_timeout(Some(timeout))
        .create_timeout(Some(timeout))
        .recycle_timeout(Some(timeout))
        .runtime(Runtime::Tokio1)
        .post_create(prepare)
        .build()
        .map_err(|error| CdrError::Unavailable(error.to_string()))
}

/// Does blocking work on a connection of `pool`, waiting for one and working at most `timeout` together.
///
/// The connection is busy until the work ends, also when nobody waits for it any more; the work itself is cut off
/// at the same deadline.
async fn within<T, F>(pool: &Pool, timeout: Duration, work: F) -> Result<T, CdrError>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, CdrError> + Send + 'static,
{
    let deadline = Instant::now() + timeout;
    let connection = pool.get().await?;
    let job = tokio::spawn(async move {
        let bounded = move |connection: &mut Connection| {
            connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() >= deadline))?;
            let done = work(connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            done
        };
        connection.interact(bounded).await
    });
    match timeout_at(deadline, job).await {
        Err(_) => Err(CdrError::Unavailable("no answer in time".to_owned())),
        Ok(Ok(Ok(done))) => done,
        // A bug of ours: the actor counts it, and the pool throws the connection away.
        Ok(Ok(Err(InteractError::Panic(panic)))) => std::panic::resume_unwind(panic),
        Ok(Ok(Err(InteractError::Cancelled)) | Err(_)) => {
            Err(CdrError::Unavailable("the store is closing".to_owned()))
        }
    }
}

#[async_trait]
impl CdrStore for Sqlite {
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, CdrError> {
        let (pbx, key) = (pbx.to_owned(), self.tombstone_key.clone());
        let work = move |connection: &mut Connection| write::apply(connection, &pbx, batch, &key);
        within(&self.writer, self.timeout, work).await
    }

    async fn position(&self, pbx: &str) -> Result<Position, CdrError> {
        let pbx = pbx.to_owned();
        self.read(move |connection| read::position(connection, &pbx))
            .await
    }

    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, CdrError> {
        let (pbx, key) = (pbx.to_owned(), self.tombstone_key.clone());
        self.read(move |connection| read::digests(connection, &pbx, range, &key))
            .await
    }

    async fn last_call_id(&self, pbx: &str) -> Result<Option<Uuid>, CdrError> {
        let pbx = pbx.to_owned();
        self.read(move |connection| read::last_call_id(connection, &pbx))
            .await
    }

    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, CdrError> {
        let (pbx, call_id) = (pbx.to_owned(), super::comparable(call_id).to_owned());
        self.read(move |connection| read::after_call_id(connection, &pbx, &call_id, after, limit))
            .await
    }

    async fn head(&self) -> Result<i64, CdrError> {
        self.read(|connection| Ok(connection.query_row(sql::HEAD, [], |row| row.get(0))?))
            .await
    }

    async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, CdrError> {
        let pbx = pbx.to_owned();
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.read(move |connection| read::rows(connection, &pbx, after, limit))
            .await
    }

    async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, CdrError> {
        let (pbx, after) = (pbx.to_owned(), after.unwrap_or(i64::MIN));
        self.read(move |connection| read::rows(connection, &pbx, after, limit))
            .await
    }
}
