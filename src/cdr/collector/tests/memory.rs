//! A store in memory, for tests of what a collector makes of its source.

use std::cell::RefCell;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::interface::{CollectError, Store};
use crate::cdr::{Batch, Cdr, CdrRange, Changes, Position, Recording, Sourced};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) cdrs: RefCell<BTreeMap<Uuid, Sourced<Cdr>>>,
    pub(crate) recordings: RefCell<BTreeMap<i64, Sourced<Recording>>>,
    pub(crate) position: RefCell<Position>,
    /// How many rows each batch had.
    pub(crate) batches: RefCell<Vec<usize>>,
}

impl Store for Memory {
    async fn apply(&self, batch: Batch) -> Result<Changes, CollectError> {
        let rows = batch.cdrs.len() + batch.recordings.len();
        self.batches.borrow_mut().push(rows);
        let cdrs = batch.cdrs.into_iter().map(|cdr| (cdr.row.cdr_id, cdr));
        self.cdrs.borrow_mut().extend(cdrs);
        let recordings = batch.recordings.into_iter();
        let recordings = recordings.map(|recording| (recording.row.id_recording, recording));
        self.recordings.borrow_mut().extend(recordings);
        if let Some(position) = batch.position {
            *self.position.borrow_mut() = position;
        }
        Ok(Changes {
            inserted: rows as u64,
            ..Changes::default()
        })
    }

    async fn position(&self) -> Result<Position, CollectError> {
        Ok(self.position.borrow().clone())
    }

    async fn digests(&self, range: CdrRange) -> Result<Vec<(String, String)>, CollectError> {
        let cdrs = self.cdrs.borrow();
        let recordings = self.recordings.borrow();
        Ok(match range {
            CdrRange::Cdrs { from, until } => {
                let stored = cdrs.range(from..until);
                stored
                    .map(|(id, cdr)| (id.to_string(), cdr.source_digest.clone()))
                    .collect()
            }
            CdrRange::CdrIds(ids) => {
                let stored = ids.iter().filter_map(|id| cdrs.get_key_value(id));
                stored
                    .map(|(id, cdr)| (id.to_string(), cdr.source_digest.clone()))
                    .collect()
            }
            CdrRange::Recordings { from, until } => {
                let stored = recordings.range(from..until);
                stored
                    .map(|(number, recording)| (number.to_string(), recording.source_digest.clone()))
                    .collect()
            }
        })
    }
}
