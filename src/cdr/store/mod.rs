//! The store of CDRs, in SQLite or PostgreSQL: tested on both by one suite.

mod ahead;
mod asked;
mod batch;
mod cursor;
mod plan;
mod postgres;
mod read;
mod row;
mod sql;
mod sqlite;
#[cfg(feature = "test-support")]
mod testing;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use crate::database::{Database, Migrations, Schema, StoreError, params};
use crate::settings::StoreSettings;

use self::asked::Asked;
pub use batch::{Batch, Changes, Position};

/// Which stored rows to list. There is no limit but the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CdrRange {
    /// Legs with `from <= cdr_id < until`.
    Cdrs {
        /// The first id.
        from: Uuid,
        /// The id after the last.
        until: Uuid,
    },
    /// Exactly these legs, those of them that are stored.
    CdrIds(Vec<Uuid>),
    /// Recordings with `from <= id_recording < until`.
    Recordings {
        /// The first number.
        from: i64,
        /// The number after the last.
        until: i64,
    },
}

/// A stored leg as the original's `POST cdr` shows it, before rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyRow {
    /// `call_history_id`.
    pub call_history_id: Uuid,
    /// `cdr_id`.
    pub cdr_id: Uuid,
    /// `cdr_started_at`.
    pub started_at: Timestamp,
    /// `cdr_answered_at`.
    pub answered_at: Option<Timestamp>,
    /// `cdr_ended_at`.
    pub ended_at: Timestamp,
    /// `source_participant_phone_number`.
    pub source_number: Option<String>,
    /// `destination_dn_number` when it is not blank, else `destination_participant_phone_number`.
    pub destination_number: Option<String>,
    /// The number of the leg's first recording.
    pub id_recording: Option<i64>,
    /// The file of the leg's first recording, relative to 3CX's recordings.
    pub recording_url: Option<String>,
}

/// Where the file of a stored recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFile {
    /// The file as 3CX has it, relative to its recordings.
    pub recording_url: Option<String>,
    /// Whether 3CX moved it to an archive.
    pub archived: bool,
}

/// A CDR store. Every method is bounded by the store's own time-outs and fails rather than waits.
///
/// # Errors
/// [`StoreError::PoolTimeout`] and [`StoreError::Unavailable`] where the database does not serve in time, so that trying again
/// may help; [`StoreError::Query`] and [`StoreError::Decode`] where it refuses, or holds what makes no sense.
///
/// # Cancel safety
/// Every method may be dropped: a write is then either done or rolled back as a whole.
#[derive(Debug)]
pub struct CdrStore {
    database: Database,
    /// Replies whose ids were written.
    handed_out: AtomicU32,
    asked: Asked,
}

impl CdrStore {
    /// Writes a batch of `pbx` in one transaction: rows whose digest is new or differs, with `seq` and `revision`,
    /// and the position. Of rows with one key the last counts. A new or changed recording gives
    /// its stored leg a new `seq` and `revision` too. The order of commits is the order of `seq`, without gaps.
    pub async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, StoreError> {
        match &self.database {
            Database::Sqlite(file) => {
                let pbx = pbx.to_owned();
                let work = move |connection: &mut Connection| sqlite::apply(connection, &pbx, batch);
                file.writer.with(work).await
            }
            Database::Postgres(database) => {
                let work = async {
                    let mut client = database.get().await?;
                    postgres::apply(&mut client, pbx, batch).await
                };
                database.bounded(work).await
            }
        }
    }

    /// Removes the position that was kept under this name, if there is one.
    pub async fn remove_position(&self, name: &str) -> Result<(), StoreError> {
        let remove = "DELETE FROM collector_position WHERE pbx = $1";
        self.database.execute(remove, params![name]).await.map(drop)
    }
}

/// Opens the store that the settings name and brings its schema up to date.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be reached; trying again may help.
///
/// # Cancel safety
/// May be dropped: each migration is applied as a whole or not at all.
pub async fn open_store(settings: &StoreSettings) -> Result<Arc<CdrStore>, StoreError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    let database = Database::open(&settings.url, settings.connections, timeout, &MIGRATIONS).await?;
    Ok(Arc::new(CdrStore {
        database,
        handed_out: AtomicU32::new(0),
        asked: Asked::default(),
    }))
}

/// Looks how far the schema of the store that the settings name has come, and changes nothing.
///
/// # Errors
/// When the store cannot be reached or used.
///
/// # Cancel safety
/// Only reads.
pub async fn store_schema(settings: &StoreSettings) -> Result<Schema, StoreError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    Schema::of(&settings.url, timeout, &MIGRATIONS).await
}

/// The tables of tombstones stay in the schemas: nothing writes them, and older gateways on the same store read them.
const MIGRATIONS: Migrations = Migrations {
    sqlite: sqlite::migrations::migrations::runner,
    postgres: postgres::migrations::migrations::runner,
    history: "cdr_schema_history",
};

/// A call id as callers send it, fit for comparing: no stored id has a NUL, so what comes after one decides nothing,
/// and PostgreSQL refuses it.
fn comparable(call_id: &str) -> &str {
    call_id.split_once('\0').map_or(call_id, |(before, _)| before)
}

/// A limit as the databases take it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
