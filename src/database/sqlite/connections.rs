//! A few connections to one file, for blocking work off the actor's thread.
//!
//! Not a pool from elsewhere: the usual one hands its connections to the runtime's blocking threads when it is
//! dropped, and panics where the runtime is gone already, as it is when an actor's thread ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use refinery::Runner;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::private::make_private;
use crate::database::{MIGRATION_TIMEOUT, StoreError, migration};

/// How many of SQLite's steps lie between two looks at the clock: well under a millisecond.
const STEPS_PER_DEADLINE_CHECK: i32 = 1_000;

/// Prepared statements that a connection keeps: more than a store has.
const STATEMENTS: usize = 64;

/// Makes a fresh connection what its pool needs.
type Prepare = fn(&Connection) -> rusqlite::Result<()>;

/// Connections, opened when they are needed and kept.
#[derive(derive_more::Debug)]
#[debug("Connections({:?})", self.0.file)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    file: PathBuf,
    timeout: Duration,
    prepare: Prepare,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
}

impl Connections {
    /// At most `size` connections to `file`, none opened yet.
    pub(super) fn new(file: &Path, size: usize, timeout: Duration, prepare: Prepare) -> Self {
        Self(Arc::new(Inner {
            file: file.to_owned(),
            timeout,
            prepare,
            idle: Mutex::new(Vec::with_capacity(size)),
            free: Arc::new(Semaphore::new(size)),
        }))
    }

    /// Does blocking work with a connection, waiting for one and working at most the time-out together.
    ///
    /// # Cancel safety
    /// The connection is busy until the work ends, also when nobody waits for it any more; the work is cut off at the
    /// same deadline, and what it did not commit is rolled back.
    pub(crate) async fn with<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.until(Instant::now() + self.0.timeout, work).await
    }

    /// Brings the schema up to date; `history` names the table of what was applied. A migration is applied as a whole or
    /// not at all, and may take longer than any request.
    pub(super) async fn migrate(&self, mut migrations: Runner, history: &str) -> Result<(), StoreError> {
        migrations.set_migration_table_name(history);
        let migrations = migrations.set_grouped(true);
        self.until(Instant::now() + MIGRATION_TIMEOUT, move |connection| {
            migrations.run(connection).map_err(|error| migration(&error))?;
            Ok(())
        })
        .await
    }

    async fn until<T, F>(&self, deadline: Instant, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let Ok(Ok(place)) = timeout_at(deadline, Arc::clone(&inner.free).acquire_owned()).await else {
            return Err(StoreError::PoolTimeout);
        };
        let job = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut connection = inner.take()?;
            connection
                .progress_handler(STEPS_PER_DEADLINE_CHECK, Some(move || Instant::now() >= deadline))?;
            let done = work(&mut connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            inner.idle().push(connection);
            done
        });
        match timeout_at(deadline, job).await {
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
            Ok(Ok(done)) => done,
            Ok(Err(lost)) => match lost.try_into_panic() {
                // A bug of ours: the actor counts it. The connection was closed.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Unavailable("the store is closing".to_owned())),
            },
        }
    }
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let kept = self.idle().pop();
        if let Some(connection) = kept {
            return Ok(connection);
        }
        // Whatever is wrong, SQLite says it next.
        let _ = make_private(&self.file);
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(self.timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        (self.prepare)(&connection)?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Short where it is to pass, long where it is not.
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(60);

    fn one(timeout: Duration) -> (Connections, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let connections = Connections::new(&directory.path().join("db"), 1, timeout, |_| Ok(()));
        (connections, directory)
    }

    /// Until the only connection is free and works.
    async fn usable(connections: &Connections) {
        let select = |connection: &mut Connection| {
            Ok(connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?)
        };
        let answered = async {
            while connections.with(select).await != Ok(1) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, answered).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_finds_all_connections_busy_leaves_at_the_time_out() {
        let (connections, _directory) = one(SHORT);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = connections.with(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let second = connections.with(|_| Ok(()));
        let (first, second) = tokio::join!(first, second);
        assert_eq!(
            first,
            Err(StoreError::Unavailable("no answer in time".to_owned()))
        );
        assert_eq!(second, Err(StoreError::PoolTimeout));
        drop(release);
        usable(&connections).await;
    }

    #[tokio::test]
    async fn a_statement_without_end_is_cut_off() {
        let (connections, _directory) = one(SHORT);
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let done = connections
            .with(move |connection| Ok(connection.query_row(endless, [], |row| row.get::<_, i64>(0))?))
            .await;
        assert!(matches!(done, Err(StoreError::Unavailable(_))), "{done:?}");
        usable(&connections).await;
    }

    #[tokio::test]
    async fn a_panic_reaches_its_caller_and_nobody_else() {
        let (connections, _directory) = one(LONG);
        let work = connections.with(|_| -> Result<(), StoreError> { panic!("a bug") });
        let panic = std::panic::AssertUnwindSafe(work)
            .catch_unwind()
            .await
            .unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug"));
        usable(&connections).await;
    }
}
