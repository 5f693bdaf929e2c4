//! The two kinds of rows that are collected, each with its statements: what differs between them is only here.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use uuid::Uuid;

use super::queries;
use crate::cdr::{Batch, Cdr, CdrRange, InvalidRow, Recording, Sourced};
use crate::pac::Statement;

/// A kind of row, known in the source and in the store by one key.
pub(super) trait Row: Sized {
    /// The key.
    type Key: Copy + Ord + Debug + Display + FromStr;

    fn key(&self) -> Self::Key;
    fn from_source(text: &str) -> Result<Self, InvalidRow>;
    /// The least key above `key`.
    fn next_key(key: Self::Key) -> Self::Key;

    fn fetch(keys: Vec<Self::Key>) -> Statement;
    fn list(from: Self::Key, until: Self::Key) -> Statement;
    fn tally(from: Self::Key, until: Self::Key) -> Statement;

    /// The stored rows with `from <= key < until`.
    fn stored_between(from: Self::Key, until: Self::Key) -> CdrRange;
    /// At least those of these rows that are stored; `keys` is in order and not empty.
    fn stored_among(keys: &[Self::Key]) -> CdrRange;
    fn batch(rows: Vec<Sourced<Self>>) -> Batch;
}

impl Row for Cdr {
    type Key = Uuid;

    fn key(&self) -> Uuid {
        self.cdr_id
    }

    fn from_source(text: &str) -> Result<Self, InvalidRow> {
        Self::from_source(text)
    }

    fn next_key(key: Uuid) -> Uuid {
        Uuid::from_u128(key.as_u128().saturating_add(1))
    }

    fn fetch(keys: Vec<Uuid>) -> Statement {
        queries::fetch_cdrs(keys)
    }

    fn list(from: Uuid, until: Uuid) -> Statement {
        queries::list_cdrs(from, until)
    }

    fn tally(from: Uuid, until: Uuid) -> Statement {
        queries::tally_cdrs(from, until)
    }

    fn stored_between(from: Uuid, until: Uuid) -> CdrRange {
        CdrRange::Cdrs { from, until }
    }

    fn stored_among(keys: &[Uuid]) -> CdrRange {
        CdrRange::CdrIds(keys.to_vec())
    }

    fn batch(cdrs: Vec<Sourced<Self>>) -> Batch {
        Batch {
            cdrs,
            ..Batch::default()
        }
    }
}

impl Row for Recording {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id_recording
    }

    fn from_source(text: &str) -> Result<Self, InvalidRow> {
        Self::from_source(text)
    }

    fn next_key(key: i64) -> i64 {
        key.saturating_add(1)
    }

    fn fetch(keys: Vec<i64>) -> Statement {
        queries::fetch_recordings(keys)
    }

    fn list(from: i64, until: i64) -> Statement {
        queries::list_recordings(from, until)
    }

    fn tally(from: i64, until: i64) -> Statement {
        queries::tally_recordings(from, until)
    }

    fn stored_between(from: i64, until: i64) -> CdrRange {
        CdrRange::Recordings { from, until }
    }

    fn stored_among(keys: &[i64]) -> CdrRange {
        let from = keys.first().copied().unwrap_or_default();
        let until = keys.last().copied().map(Self::next_key).unwrap_or_default();
        CdrRange::Recordings { from, until }
    }

    fn batch(recordings: Vec<Sourced<Self>>) -> Batch {
        Batch {
            recordings,
            ..Batch::default()
        }
    }
}
