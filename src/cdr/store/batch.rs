//! What a collector brings at once.

use std::ops::AddAssign;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cdr::record::{Cdr, Recording, Sourced};
use crate::database::StoreError;

/// How far a collector, or a backfill of a range, has come with one 3CX. All moments are by the source's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The window: rows that ended before this were listed, bar those that appear late.
    pub window: Option<Timestamp>,
    /// The greatest recording number seen.
    pub recordings: Option<i64>,
    /// The first backfill: hours of start before this still have to be read, down to `backfill_from`.
    pub backfilled_to: Option<Timestamp>,
    /// Where the first backfill ends: fixed at the first poll, so that a slow beginning costs no history.
    #[serde(default)]
    pub backfill_from: Option<Timestamp>,
    /// Hours of start of which not all rows arrived; each sweep tries them again.
    #[serde(default)]
    pub holes: Vec<Timestamp>,
    /// When the latest complete sweep began; before it, when the first poll did.
    pub swept_at: Option<Timestamp>,
    /// What the source's clock said when the window was listed.
    #[serde(default)]
    pub clock: Option<Timestamp>,
}

impl Position {
    /// As it is stored.
    pub(super) fn json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|_| StoreError::Query("a position has no JSON".to_owned()))
    }
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
    /// Rows that were there already, or that the same batch brings again further on.
    pub skipped: u64,
}

impl AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.skipped += other.skipped;
    }
}
