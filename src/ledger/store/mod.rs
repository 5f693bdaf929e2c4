//! The ledger's store: one contract, kept by SQLite and PostgreSQL alike.

mod filter;
mod keys;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub(super) use self::keys::{FORGET, KeyStore};
use self::postgres::PostgresLedger;
use self::sqlite::SqliteLedger;
use super::SearchCalls;
use super::key::ApiKey;
use crate::call::{Call, CallId};
use crate::database::{Schema, StoreError};
use crate::settings::{StoreSettings, StoreUrl};

/// Where calls are kept. Every method is bounded by the store's time-out.
///
/// # Cancel safety
/// Every method may be dropped: a write is then done as a whole or not at all.
#[async_trait]
pub(super) trait LedgerStore: Send + Sync {
    /// Writes calls with their legs in one commit. A stored call with a greater revision stays as it is.
    async fn save(&self, calls: Vec<Arc<Call>>) -> Result<(), StoreError>;

    /// One call.
    async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError>;

    /// The calls through an integration that are not closed, oldest first, of the gateway on this host: under the id that
    /// [`instance`](Self::instance) tells, and under its provisional one.
    async fn open_calls(
        &self,
        integration: &str,
        host: &str,
        provisional: &str,
    ) -> Result<Vec<Call>, StoreError>;

    /// A page of the calls that fit, newest first.
    async fn search(&self, search: &SearchCalls) -> Result<Vec<Call>, StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The id of the gateway on this host: `proposal`, unless an earlier start left another.
    async fn instance(&self, host: &str, proposal: &str) -> Result<String, StoreError>;
}

/// All of the ledger.
pub(super) trait Store: LedgerStore + KeyStore {}

impl<T: LedgerStore + KeyStore> Store for T {}

/// Opens the ledger that the settings name and brings its schema up to date.
pub(super) async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    Ok(match &settings.url {
        StoreUrl::Sqlite(file) => {
            Arc::new(SqliteLedger::open(&beside(file), settings.connections, timeout).await?)
        }
        StoreUrl::Postgres(url) => Arc::new(PostgresLedger::open(url, settings.connections, timeout).await?),
    })
}

/// Looks how far the schema of the ledger that the settings name has come, and changes nothing.
///
/// # Errors
/// When the ledger cannot be reached or used.
///
/// # Cancel safety
/// Only reads.
pub async fn ledger_schema(settings: &StoreSettings) -> Result<Schema, StoreError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    match &settings.url {
        StoreUrl::Sqlite(file) => SqliteLedger::schema(&beside(file), timeout).await,
        StoreUrl::Postgres(url) => PostgresLedger::schema(url, timeout).await,
    }
}

/// Brings the schema of the ledger that the settings name up to date.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be reached; trying again may help.
///
/// # Cancel safety
/// May be dropped: each migration is applied as a whole or not at all.
pub async fn migrate_ledger(settings: &StoreSettings) -> Result<(), StoreError> {
    open(settings).await.map(drop)
}

/// Every live key of the ledger that the settings name, then those that were revoked. Its schema must be up to date.
///
/// # Errors
/// When the ledger cannot be reached or used.
///
/// # Cancel safety
/// Only reads.
pub async fn ledger_keys(settings: &StoreSettings) -> Result<Vec<ApiKey>, StoreError> {
    let keys = open(settings).await?.keys().await?;
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The table of the migrations that were applied.
const HISTORY: &str = "ledger_schema_history";

/// The ledger's file beside that of the CDRs: `mege.sqlite` has `mege-ledger.sqlite`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push("-ledger");
    let path = file.with_file_name(name);
    match file.extension() {
        Some(extension) => path.with_added_extension(extension),
        None => path,
    }
}
