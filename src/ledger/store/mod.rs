//! The ledger's store.

mod calls;
mod keys;
mod postgres;
mod sqlite;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::keys::DELETE_LIMIT;
use super::key::ApiKey;
use crate::call::Call;
use crate::database::{Database, Migrations, Schema, Session, StoreError, params};
use crate::settings::{StoreSettings, StoreUrl};

const MIGRATIONS: Migrations = Migrations {
    sqlite: sqlite::migrations::migrations::runner,
    postgres: postgres::migrations::migrations::runner,
    history: "ledger_schema_history",
};

/// The ledger: calls, keys, secrets, the audit. Every method is bounded by the store's time-out.
///
/// # Cancel safety
/// Every method may be dropped: a write is then done as a whole or not at all.
#[derive(Debug)]
pub(super) struct LedgerStore {
    database: Database,
}

impl LedgerStore {
    /// Opens the ledger that the settings name and brings its schema up to date.
    pub(super) async fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        let (url, timeout) = (url(settings), Duration::from_millis(settings.timeout_ms));
        let database = Database::open(&url, settings.connections, timeout, &MIGRATIONS).await?;
        Ok(Self { database })
    }

    /// Writes calls with their legs in one commit. A stored call with a greater revision stays as it is.
    pub(super) async fn save(&self, calls: Vec<Arc<Call>>) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(file) => sqlite::save(file, calls).await,
            Database::Postgres(database) => postgres::save(database, calls).await,
        }
    }

    /// Whether the store answers.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    /// The id of the gateway on this host: `proposal`, unless an earlier start left another.
    pub(super) async fn instance(&self, host: &str, proposal: String) -> Result<String, StoreError> {
        let host = host.to_owned();
        let settle = async move |session: &Session<'_>| {
            let insert = "INSERT INTO ledger_instance (host, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            session.execute(insert, params![host.as_str(), proposal]).await?;
            let select = "SELECT id FROM ledger_instance WHERE host = $1";
            session.query_one(select, params![host]).await
        };
        self.database.write(settle).await
    }
}

/// Looks how far the schema of the ledger that the settings name has come, and changes nothing.
///
/// # Errors
/// When the ledger cannot be reached or used.
///
/// # Cancel safety
/// Only reads.
pub async fn ledger_schema(settings: &StoreSettings) -> Result<Schema, StoreError> {
    Schema::of(
        &url(settings),
        Duration::from_millis(settings.timeout_ms),
        &MIGRATIONS,
    )
    .await
}

/// Brings the schema of the ledger that the settings name up to date.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be reached; trying again may help.
///
/// # Cancel safety
/// May be dropped: each migration is applied as a whole or not at all.
pub async fn migrate_ledger(settings: &StoreSettings) -> Result<(), StoreError> {
    LedgerStore::open(settings).await.map(drop)
}

/// Every live key of the ledger that the settings name, then those that were revoked. Its schema must be up to date.
///
/// # Errors
/// When the ledger cannot be reached or used.
///
/// # Cancel safety
/// Only reads.
pub async fn ledger_keys(settings: &StoreSettings) -> Result<Vec<ApiKey>, StoreError> {
    let keys = LedgerStore::open(settings).await?.keys().await?;
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// Where the ledger is: in a file beside that of the CDRs, or in the same database.
fn url(settings: &StoreSettings) -> StoreUrl {
    match &settings.url {
        StoreUrl::Sqlite(file) => StoreUrl::Sqlite(beside(file)),
        StoreUrl::Postgres(url) => StoreUrl::Postgres(url.clone()),
    }
}

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
