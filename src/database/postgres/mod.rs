//! PostgreSQL: a pool whose connections live on the thread of the actor that opened it.

mod error;
mod tls;

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use refinery::Runner;
use tokio::time::timeout;

use super::{MIGRATION_TIMEOUT, StoreError, migration};
use crate::settings::{Ssl, SslMode};

/// Keeps gateways that start together from migrating together, and lets a migration take its time. The number is
/// "mege.cdr" in ASCII.
const MIGRATION_SESSION: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SELECT pg_advisory_lock(7882820407049544818)";

/// A pool of connections to one database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: Pool,
    timeout: Duration,
}

impl Postgres {
    /// Prepares a pool of `size`; nothing is connected yet.
    pub(crate) fn new(url: &str, size: usize, timeout: Duration) -> Result<Self, StoreError> {
        let (url, ssl) = Ssl::split(url).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut config: tokio_postgres::Config = url.parse()?;
        config.ssl_mode(match ssl.mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
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
        let manager = Manager::from_config(config, tls::connector(&ssl)?, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(size)
            // Half of it: a connection that comes later leaves no time to use it.
            .wait_timeout(Some(timeout / 2))
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { pool, timeout })
    }

    /// Brings the schema up to date; `history` names the table of what was applied. A migration is applied as a whole or
    /// not at all, and may take longer than any request.
    pub(crate) async fn migrate(&self, mut migrations: Runner, history: &str) -> Result<(), StoreError> {
        migrations.set_migration_table_name(history);
        let migrations = migrations.set_grouped(true);
        // Taken out of the pool: the lock and the loosened limits end with the connection.
        let mut client = Object::take(self.get().await?);
        let work = async {
            client.batch_execute(MIGRATION_SESSION).await?;
            migrations
                .run_async(&mut *client)
                .await
                .map_err(|error| migration(&error))?;
            Ok(())
        };
        timeout(MIGRATION_TIMEOUT, work).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                "its schema was not up to date in time".to_owned(),
            ))
        })
    }

    /// A connection.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn get(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Does work with a connection, at most until the time-out. Work that is dropped leaves its connection with at most
    /// one statement that the server ends by itself, and then the rollback.
    pub(crate) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(self.timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
        }
    }
}
