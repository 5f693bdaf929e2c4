//! The store's contract, kept by SQLite and PostgreSQL alike and tested by one suite.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::CdrError;
use super::record::{Cdr, Recording, Sourced};

/// How far a collector has come with one 3CX. All moments are by the source's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The window: rows that ended before this were listed, bar those that appear late.
    pub window: Option<Timestamp>,
    /// The greatest recording number seen.
    pub recordings: Option<i64>,
    /// The first backfill: hours of start before this still have to be read, down to the configured horizon.
    pub backfilled_to: Option<Timestamp>,
    /// When the latest complete sweep began.
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
    /// Rows that were there already, or that a tombstone keeps out.
    pub skipped: u64,
}

/// Which stored rows to list.
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
    /// The file of the leg's first recording, relative to 3CX's recordings.
    pub recording_url: Option<String>,
}

/// A CDR store. Every method is bounded by the store's own time-outs and fails rather than waits.
///
/// # Cancel safety
/// Every method may be dropped: a write is then either done or rolled back as a whole.
#[async_trait]
pub trait CdrStore: Send + Sync {
    /// Writes a batch of `pbx` in one transaction: rows whose digest is new or differs, with `seq` and `revision`,
    /// and the position. Erased rows stay out.
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, CdrError>;

    /// The collector's position with `pbx`; the default where there is none.
    async fn position(&self, pbx: &str) -> Result<Position, CdrError>;

    /// Keys and digests of the stored rows in `range`, in the keys' order: `(cdr_id or id_recording as text, digest)`.
    /// Erased rows that lie in the range are listed with their last digest, so that a sweep finds no difference.
    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, CdrError>;

    /// The greatest `call_history_id` of `pbx`.
    async fn last_call_id(&self, pbx: &str) -> Result<Option<Uuid>, CdrError>;

    /// At most `limit` legs of `pbx` whose `call_history_id`, as text, is greater than `call_id`, and whose `cdr_id`
    /// is greater than `after`; by `cdr_id`.
    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, CdrError>;

    /// The stored rows themselves, by key, for checks: legs and recordings of `pbx` after `after`, at most `limit`.
    async fn rows(&self, pbx: &str, after: Option<Uuid>, limit: usize)
    -> Result<Vec<Sourced<Cdr>>, CdrError>;
}
