//! Work on a database: reads, and transactions.

use futures_util::FutureExt as _;
use rusqlite::{Connection, TransactionBehavior};

use super::{Database, FromRow, Session, StoreError, Value};

impl Database {
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
            Self::Sqlite(sqlite) => {
                let read = move |connection: &mut Connection| at_once(work(&Session::Sqlite(connection)))?;
                sqlite.readers.with(read).await
            }
            Self::Postgres(postgres) => {
                let read = async {
                    let client = postgres.get().await?;
                    let statements = &client.statement_cache;
                    work(&Session::Postgres {
                        client: &client,
                        statements,
                    })
                    .await
                };
                postgres.bounded(read).await
            }
        }
    }

    /// Does work in a transaction, as [`read`](Self::read) does, and commits it; an error of the work rolls it back. What
    /// was written is on the disk once this returns.
    ///
    /// On SQLite there is one writer at a time from the beginning of the work. On PostgreSQL there are many, each of
    /// whose statements sees what others committed meanwhile: where the work decides by what it read, it locks that first
    /// by an update of a row. Where a statement fails, the work fails too: PostgreSQL commits nothing after it.
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
            Self::Sqlite(sqlite) => {
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
                sqlite.writer.with(write).await?
            }
            Self::Postgres(postgres) => {
                let write = async {
                    let mut client = postgres.get().await?;
                    let transaction = client.transaction().await?;
                    let (client, statements) = (transaction.client(), &*transaction.statement_cache);
                    let done = work(&Session::Postgres { client, statements }).await;
                    if done.is_ok() {
                        transaction.commit().await?;
                    }
                    Ok(done)
                };
                postgres.bounded(write).await?
            }
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
                let ask = |connection: &mut Connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?);
                sqlite.writer.with(ask).await
            }
            Self::Postgres(postgres) => {
                let ask = async { Ok(postgres.get().await?.batch_execute("SELECT 1").await?) };
                postgres.bounded(ask).await
            }
        }
    }
}

/// What work comes to that never waits, as that of statements on a connection's own thread.
fn at_once<T>(work: impl Future<Output = T>) -> Result<T, StoreError> {
    let waits = || StoreError::Unavailable("its work waits for something else: a bug".to_owned());
    work.now_or_never().ok_or_else(waits)
}
