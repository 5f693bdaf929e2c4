//! Decides what a batch changes, from what the store holds already: the same for every store.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::batch::{Batch, Changes};
use crate::cdr::record::{Cdr, Recording, SourceRow, Sourced};

/// A stored row, as far as a decision needs it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) digest: String,
    pub(super) revision: i64,
}

/// What the store holds of the rows that a batch names, read in the transaction that writes.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The legs, see [`Known::legs_of`].
    pub(super) legs: HashMap<Uuid, Stored>,
    /// The recordings with their legs.
    pub(super) recordings: HashMap<i64, (Stored, Uuid)>,
}

impl Known {
    /// The legs to look up for a batch, once its recordings are known: its own, its recordings', and those that its
    /// recordings had before.
    pub(super) fn legs_of(&self, batch: &Batch) -> BTreeSet<Uuid> {
        let own = batch.cdrs.iter().map(|cdr| cdr.row.cdr_id);
        let recorded = batch.recordings.iter().map(|recording| recording.row.cdr_id);
        let before = self.recordings.values().map(|(_, leg)| *leg);
        own.chain(recorded).chain(before).collect()
    }
}

/// A row to write.
#[derive(Debug)]
pub(super) struct Write<R> {
    pub(super) row: Sourced<R>,
    /// Counted from 1 within the batch; the store adds the head.
    pub(super) seq: i64,
    pub(super) revision: i64,
}

/// A leg that is the same but for its recordings.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) leg: Uuid,
    /// As in [`Write`].
    pub(super) seq: i64,
    pub(super) revision: i64,
}

/// What to write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) cdrs: Vec<Write<Cdr>>,
    pub(super) recordings: Vec<Write<Recording>>,
    pub(super) touched: Vec<Touch>,
    /// How many seqs it takes.
    pub(super) seqs: i64,
    pub(super) changes: Changes,
}

impl Plan {
    pub(super) fn new(batch: Batch, known: &Known) -> Self {
        let mut plan = Self::default();
        let mut changed_legs = HashSet::new();
        for cdr in plan.latest(batch.cdrs) {
            let leg = cdr.row.cdr_id;
            if let Some(write) = plan.decide(cdr, known.legs.get(&leg)) {
                changed_legs.insert(leg);
                plan.cdrs.push(write);
            }
        }
        let mut recorded_legs = BTreeSet::new();
        for recording in plan.latest(batch.recordings) {
            let (number, leg) = (recording.row.id_recording, recording.row.cdr_id);
            let before = known.recordings.get(&number);
            if let Some(write) = plan.decide(recording, before.map(|(stored, _)| stored)) {
                recorded_legs.insert(leg);
                recorded_legs.extend(before.map(|(_, leg)| *leg));
                plan.recordings.push(write);
            }
        }
        for leg in recorded_legs {
            if let (Some(stored), false) = (known.legs.get(&leg), changed_legs.contains(&leg)) {
                let revision = stored.revision + 1;
                let seq = plan.next_seq();
                plan.touched.push(Touch { leg, seq, revision });
            }
        }
        plan
    }

    /// Of rows with the same key the last, in the order of the batch; the others count as skipped.
    fn latest<R: SourceRow>(&mut self, rows: Vec<Sourced<R>>) -> Vec<Sourced<R>> {
        let mut keys = HashSet::new();
        let given = rows.len();
        let mut kept: Vec<_> = rows
            .into_iter()
            .rev()
            .filter(|row| keys.insert(row.row.key()))
            .collect();
        kept.reverse();
        self.changes.skipped += (given - kept.len()) as u64;
        kept
    }

    fn decide<R>(&mut self, row: Sourced<R>, stored: Option<&Stored>) -> Option<Write<R>> {
        let revision = match stored {
            None => {
                self.changes.inserted += 1;
                Some(1)
            }
            Some(stored) if stored.digest == row.source_digest => None,
            Some(stored) => {
                self.changes.updated += 1;
                Some(stored.revision + 1)
            }
        };
        let Some(revision) = revision else {
            self.changes.skipped += 1;
            return None;
        };
        let seq = self.next_seq();
        Some(Write { row, seq, revision })
    }

    fn next_seq(&mut self) -> i64 {
        self.seqs += 1;
        self.seqs
    }
}
