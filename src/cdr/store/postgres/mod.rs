//! The store in a PostgreSQL database.

mod error;
mod read;
mod write;

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::tombstone::TombstoneKey;
use super::{Batch, CdrRange, CdrStore, Changes, LegacyRow, Position, sql};
use crate::cdr::error::CdrError;
use crate::cdr::record::{Cdr, Recording, Sourced};

mod embedded {
    refinery::embed_migrations!("src/cdr/store/migrations/postgres");
}

/// Keeps gateways that start together from migrating together. The number is "mege.cdr" in ASCII.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7882820407049544818)";

/// The store in a database.
#[derive(Debug)]
pub(super) struct Postgres {
    pool: Pool,
    timeout: Duration,
    tombstone_key: TombstoneKey,
}

impl Postgres {
    /// Connects and brings the schema up to date. One connection more than `readers` is kept, for writing.
    pub(super) async fn open(url: &str, readers: usize, timeout: Duration) -> Result<Self, CdrError> {
        let mut config: tokio_postgres::Config = url.parse()?;
        let milliseconds = timeout.as_millis();
        // The server's own limits end what a client that is gone, or hangs, would hold: statements, locks, transactions.
        // Plans are made for each search: one made for any call id reads the whole table for the latest.
        let limits = format!(
            "{} -c statement_timeout={milliseconds} -c lock_timeout={milliseconds} \
             -c idle_in_transaction_session_timeout={milliseconds} -c plan_cache_mode=force_custom_plan",
            config.get_options().unwrap_or_default()
        );
        config
            .options(limits.trim_start())
            .application_name("mege-gateway")
            .connect_timeout(timeout)
            .tcp_user_timeout(timeout);
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(readers + 1)
            // Half of it: a connection that comes later leaves no time to use it.
            .wait_timeout(Some(timeout / 2))
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| CdrError::Unavailable(error.to_string()))?;
        let tombstone_key = bounded(timeout, migrate(&pool)).await?;
        Ok(Self {
            pool,
            timeout,
            tombstone_key,
        })
    }

    /// Does work with a connection, at most until the time-out. Work that is dropped leaves its connection with at most
    /// one statement that the server ends by itself, and then the rollback.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, CdrError>>) -> Result<T, CdrError> {
        bounded(self.timeout, work).await
    }
}

/// Brings the schema up to date and reads the tombstones' key. The lock ends with the connection.
async fn migrate(pool: &Pool) -> Result<TombstoneKey, CdrError> {
    let mut client = Object::take(pool.get().await?);
    client.batch_execute(MIGRATION_LOCK).await?;
    embedded::migrations::runner()
        .set_migration_table_name("cdr_schema_history")
        .run_async(&mut *client)
        .await
        .map_err(|error| super::migration(&error))?;
    let key: Vec<u8> = client.query_one(sql::TOMBSTONE_KEY, &[]).await?.try_get(0)?;
    TombstoneKey::new(&key)
}

async fn bounded<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, CdrError>>,
) -> Result<T, CdrError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(done) => done,
        Err(_) => Err(CdrError::Unavailable("no answer in time".to_owned())),
    }
}

#[async_trait]
impl CdrStore for Postgres {
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, CdrError> {
        self.bounded(async {
            let mut client = self.pool.get().await?;
            write::apply(&mut client, pbx, batch, &self.tombstone_key).await
        })
        .await
    }

    async fn position(&self, pbx: &str) -> Result<Position, CdrError> {
        self.bounded(async { read::position(&self.pool.get().await?, pbx).await })
            .await
    }

    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, CdrError> {
        self.bounded(async {
            let client = self.pool.get().await?;
            match range {
                CdrRange::Cdrs { from, until } => read::leg_digests(&client, pbx, from, until).await,
                CdrRange::Recordings { from, until } => {
                    read::recording_digests(&client, pbx, from, until).await
                }
                CdrRange::CdrIds(ids) => read::digests_of(&client, pbx, &ids, &self.tombstone_key).await,
            }
        })
        .await
    }

    async fn last_call_id(&self, pbx: &str) -> Result<Option<Uuid>, CdrError> {
        self.bounded(async { read::last_call_id(&self.pool.get().await?, pbx).await })
            .await
    }

    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, CdrError> {
        let call_id = super::comparable(call_id);
        self.bounded(async {
            let client = self.pool.get().await?;
            read::after_call_id(&client, pbx, call_id, after, limit).await
        })
        .await
    }

    async fn head(&self) -> Result<i64, CdrError> {
        self.bounded(async {
            Ok(self
                .pool
                .get()
                .await?
                .query_one(sql::HEAD, &[])
                .await?
                .try_get(0)?)
        })
        .await
    }

    async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, CdrError> {
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.bounded(async { read::rows(&self.pool.get().await?, pbx, &after, limit).await })
            .await
    }

    async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, CdrError> {
        let after = after.unwrap_or(i64::MIN);
        self.bounded(async { read::rows(&self.pool.get().await?, pbx, &after, limit).await })
            .await
    }
}
