//! The store's contract, kept by SQLite and PostgreSQL alike and tested by one suite.

mod plan;
mod postgres;
mod row;
mod sql;
mod sqlite;
#[cfg(test)]
pub(super) mod tests;
mod tombstone;

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cursor::{self, ClientId, HandedOut, Resumed, Since};
use super::record::{Cdr, Recording, Sourced};
use crate::database::{Migrations, Schema, StoreError};
use crate::settings::{StoreSettings, StoreUrl};

/// How far a collector, or a backfill of a range, has come with one 3CX. All moments are by the source's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The window: rows that ended before this were listed, bar those that appear late.
    pub window: Option<Timestamp>,
    /// The greatest recording number seen.
    pub recordings: Option<i64>,
    /// The first backfill: hours of start before this still have to be read, down to `backfill_from`.
    pub backfilled_to: Option<Timestamp>,
    /// Where the first backfill ends: fixed at the first look, so that a slow beginning costs no history.
    #[serde(default)]
    pub backfill_from: Option<Timestamp>,
    /// Hours of start of which not all rows arrived; each sweep tries them again.
    #[serde(default)]
    pub holes: Vec<Timestamp>,
    /// When the latest complete sweep began; before it, when the first look did.
    pub swept_at: Option<Timestamp>,
}

/// What one transaction brings: rows, and the position that holds once they are stored.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// New or changed legs.
    pub cdrs: Vec<Sourced<Cdr>>,
    /// New or changed recordings.
    pub recordings: Vec<Sourced<Recording>>,
    /// The collector's new position, if it moved.
    pub position: Option<Position>,
}

/// What a batch changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows that were not there before.
    pub inserted: u64,
    /// Rows whose digest differed.
    pub updated: u64,
    /// Rows that were there already, that a tombstone keeps out, or that the same batch brings again further on.
    pub skipped: u64,
}

impl AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.skipped += other.skipped;
    }
}

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
    /// Exactly these legs, those of them that are stored or were erased.
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
/// # Cancel safety
/// Every method may be dropped: a write is then either done or rolled back as a whole.
#[async_trait]
pub trait CdrStore: Send + Sync {
    /// Writes a batch of `pbx` in one transaction: rows whose digest is new or differs, with `seq` and `revision`,
    /// and the position. Erased rows stay out. Of rows with one key the last counts. A new or changed recording gives
    /// its stored leg a new `seq` and `revision` too. The order of commits is the order of `seq`, without gaps.
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, StoreError>;

    /// The position that was kept under this name: a 3CX's is its collector's. The default where there is none.
    async fn position(&self, name: &str) -> Result<Position, StoreError>;

    /// Removes the position that was kept under this name, if there is one.
    async fn remove_position(&self, name: &str) -> Result<(), StoreError>;

    /// Keys and digests of the stored rows in `range`, in the keys' order: `(cdr_id or id_recording as text, digest)`.
    ///
    /// A range lists what is stored: of an erased row only a keyed hash is left, which lies in no range.
    /// [`CdrRange::CdrIds`] lists the erased among those ids too, with the digest that they last had: so a sweep asks
    /// for the legs that it misses before it reads them again.
    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, StoreError>;

    /// The greatest `call_history_id` of `pbx`, and the [`head`](Self::head) at that moment.
    async fn last_call_id(&self, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError>;

    /// At most `limit` legs of `pbx` whose `call_history_id`, as text, is greater than `call_id`, and whose `cdr_id`
    /// is greater than `after`; by `cdr_id`.
    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, StoreError>;

    /// What to answer a client that polls `pbx` with a call id: see the old cursor. A reply has at most
    /// `late` legs whose `call_history_id`, as text, is not greater.
    async fn resume(
        &self,
        pbx: &str,
        client: &ClientId,
        call_id: &str,
        late: usize,
    ) -> Result<Resumed, StoreError>;

    /// Remembers what a reply hands out, durably once this returns. Nothing is written that is known already.
    async fn hand_out(&self, pbx: &str, client: &ClientId, handed_out: HandedOut) -> Result<(), StoreError>;

    /// The ids of at most `limit` legs of `pbx` that were stored since and up to `until`, and of those with a greater
    /// `call_history_id` than `call_id`, as text, also beyond it; by `cdr_id`, after `after`.
    async fn legs_since(
        &self,
        pbx: &str,
        since: Since,
        until: i64,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// These legs of `pbx`, those of them that are stored; by `cdr_id`.
    async fn legs(&self, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError>;

    /// The file of one recording of `pbx`; none where no such recording is stored.
    async fn recording_file(&self, pbx: &str, id_recording: i64)
    -> Result<Option<RecordingFile>, StoreError>;

    /// The `seq` of the latest change; 0 in a new store. It also shows that the store answers.
    async fn head(&self) -> Result<i64, StoreError>;

    /// The stored legs themselves, for checks: of `pbx` after `after`, at most `limit`, by `cdr_id`.
    async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, StoreError>;

    /// The stored recordings themselves, for checks: of `pbx` after `after`, at most `limit`, by `id_recording`.
    async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, StoreError>;
}

/// Opens the store that the settings name and brings its schema up to date.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be reached; trying again may help.
///
/// # Cancel safety
/// May be dropped: each migration is applied as a whole or not at all.
pub async fn open_store(settings: &StoreSettings) -> Result<Arc<dyn CdrStore>, StoreError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    match &settings.url {
        StoreUrl::Sqlite(file) => Ok(Arc::new(
            sqlite::SqliteCdrs::open(file, settings.connections, timeout).await?,
        )),
        StoreUrl::Postgres(url) => Ok(Arc::new(
            postgres::PostgresCdrs::open(url, settings.connections, timeout).await?,
        )),
    }
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

const MIGRATIONS: Migrations = Migrations {
    sqlite: sqlite::embedded::migrations::runner,
    postgres: postgres::embedded::migrations::runner,
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

/// Before when ids that clients were handed out are forgotten, and since when they need not be remembered again: a
/// client that gets the same id all day is no reason to write all day.
fn remembered_since() -> (Timestamp, Timestamp) {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let now = Timestamp::now();
    (now - DAY * cursor::REMEMBERED_DAYS, now - DAY)
}

/// The ids to remember, each once, with what they stand for.
fn to_remember(handed_out: HandedOut) -> Vec<(String, Since)> {
    let HandedOut {
        greatest,
        last,
        asked,
        from,
        until,
    } = handed_out;
    let since = |greater| Since { seq: until, greater };
    let greatest = greatest.map(|id| (id, since(until)));
    let last = last.map(|id| (id, since(from.min(until))));
    let asked = asked.map(|id| (id, since(0)));
    let mut ids: Vec<(String, Since)> = Vec::new();
    for (id, since) in [greatest, last, asked].into_iter().flatten() {
        let id = id.to_string();
        if ids.iter().all(|(known, _)| *known != id) {
            ids.push((id, since));
        }
    }
    ids
}

/// Whether an id need not be written again; `seq` is that of an id that was handed out lately.
fn is_known(wanted: Since, seq: Option<i64>, greater: i64) -> bool {
    seq.is_some_and(|seq| seq <= wanted.seq) && greater <= wanted.greater
}

/// An id that was stored as text.
fn uuid(text: &str) -> Result<Uuid, StoreError> {
    Uuid::try_parse(text).map_err(|_| StoreError::Decode("an id is no uuid".to_owned()))
}

/// A position that was stored as JSON; none is the default.
fn position(json: Option<&str>) -> Result<Position, StoreError> {
    match json {
        None => Ok(Position::default()),
        Some(json) => serde_json::from_str(json)
            .map_err(|_| StoreError::Decode("a collector's position is no position".to_owned())),
    }
}

/// A position as it is stored.
fn position_json(position: &Position) -> Result<String, StoreError> {
    serde_json::to_string(position).map_err(|_| StoreError::Query("a position has no JSON".to_owned()))
}
