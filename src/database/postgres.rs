//! A PostgreSQL database: a pool whose connections live on the thread of the actor that opened it.

use std::str::FromStr as _;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use refinery::{Report, Runner};
use tokio_postgres::{Config, NoTls};

use super::DatabaseError;

/// A pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct PostgresPool(Pool);

impl PostgresPool {
    /// Prepares a pool and brings the schema up to date. `history` names the table of applied migrations.
    pub(crate) async fn open(
        url: &str,
        size: usize,
        timeout: Duration,
        mut migrations: Runner,
        history: &str,
    ) -> Result<Self, DatabaseError> {
        let mut config = Config::from_str(url)
            .map_err(|_| DatabaseError::Unavailable("the store's URL makes no sense".to_owned()))?;
        let millis = timeout.as_millis();
        config
            .application_name("mege-gateway")
            .connect_timeout(timeout)
            .tcp_user_timeout(timeout)
            .options(format!(
                "-c statement_timeout={millis} -c lock_timeout={millis} -c TimeZone=UTC"
            ));
        let manager = Manager::from_config(
            config,
            NoTls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(timeout),
                create: Some(timeout),
                recycle: Some(timeout),
            })
            .build()
            .map_err(|error| DatabaseError::Unavailable(error.to_string()))?;
        let pool = Self(pool);
        let mut connection = pool.get().await?;
        migrations.set_migration_table_name(history);
        let _: Report = migrations
            .run_async(&mut **connection)
            .await
            .map_err(|error| DatabaseError::Unavailable(error.to_string()))?;
        Ok(pool)
    }

    /// A connection, at most the pool's time-out later.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn get(&self) -> Result<Object, DatabaseError> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => DatabaseError::PoolTimeout,
            PoolError::Backend(error) => from_postgres(&error),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => DatabaseError::Unavailable(error.to_string()),
        })
    }
}

/// PostgreSQL's code and words, without its details, which may repeat values.
impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        from_postgres(&error)
    }
}

fn from_postgres(error: &tokio_postgres::Error) -> DatabaseError {
    match error.as_db_error() {
        Some(refusal) => DatabaseError::Query(format!("{}: {}", refusal.code().code(), refusal.message())),
        None => DatabaseError::Unavailable(error.to_string()),
    }
}
