//! The two kinds of rows that are collected: what differs between them is only here.

use uuid::Uuid;

use super::queries::{self, TableQueries};
use crate::cdr::{Batch, Cdr, CdrRange, Recording, SourceRow, Sourced};
use crate::pac::Param;

/// A kind of row that is collected.
pub(super) trait Row: SourceRow<Key: Into<Param>> {
    /// What is asked of the source.
    fn queries() -> &'static TableQueries;
    /// The least key above `key`.
    fn next_key(key: Self::Key) -> Self::Key;
    /// The stored rows with `from <= key < until`.
    fn stored_between(from: Self::Key, until: Self::Key) -> CdrRange;
    /// At least those of these rows that are stored; `keys` is in order and not empty.
    fn stored_among(keys: &[Self::Key]) -> CdrRange;
    fn batch(rows: Vec<Sourced<Self>>) -> Batch;
}

impl Row for Cdr {
    fn queries() -> &'static TableQueries {
        &queries::CDRS
    }

    fn next_key(key: Uuid) -> Uuid {
        Uuid::from_u128(key.as_u128().saturating_add(1))
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
    fn queries() -> &'static TableQueries {
        &queries::RECORDINGS
    }

    fn next_key(key: i64) -> i64 {
        key.saturating_add(1)
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
