//! A simulated 3CX that fills over simulated days, and what must be in the store when they are over.

use std::collections::BTreeMap;
use std::sync::Arc;

use mege_gateway::cdr::{Cdr, CdrStore, Recording};
use mege_gateway::simulator::{Row, SimulatedPbx};
use uuid::Uuid;

use super::gateway::PBX;

/// All rows of a 3CX.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) cdrs: BTreeMap<Uuid, Cdr>,
    pub(crate) recordings: BTreeMap<i64, Recording>,
}

impl Rows {
    /// Puts a row, new or changed, into the 3CX, and notes it.
    pub(crate) fn put(&mut self, pbx: &SimulatedPbx, row: Row) {
        pbx.insert(&row).expect("the simulated database takes a row");
        match row {
            Row::Cdr(cdr) => drop(self.cdrs.insert(cdr.cdr_id, *cdr)),
            Row::Recording(recording) => drop(self.recordings.insert(recording.id_recording, *recording)),
        }
    }

    /// All rows of a store. Panics when it holds one twice.
    pub(crate) async fn stored(store: &Arc<CdrStore>) -> Rows {
        Self::stored_of(PBX, store).await
    }

    /// All rows of a 3CX in a store. Panics when it holds one twice.
    pub(crate) async fn stored_of(pbx: &str, store: &Arc<CdrStore>) -> Rows {
        const PAGE: usize = 1_000;
        let mut rows = Rows::default();
        let mut after = None;
        loop {
            let page = store.rows(pbx, after, PAGE).await.expect("a page of legs");
            after = page.last().map(|cdr| cdr.row.cdr_id);
            for cdr in page {
                let id = cdr.row.cdr_id;
                assert!(rows.cdrs.insert(id, cdr.row).is_none(), "{id} is stored twice");
            }
            if after.is_none() {
                break;
            }
        }
        let mut after = None;
        loop {
            let page = store
                .recordings(pbx, after, PAGE)
                .await
                .expect("a page of recordings");
            after = page.last().map(|recording| recording.row.id_recording);
            for recording in page {
                let number = recording.row.id_recording;
                let before = rows.recordings.insert(number, recording.row);
                assert!(before.is_none(), "recording {number} is stored twice");
            }
            if after.is_none() {
                return rows;
            }
        }
    }

    /// How many rows of `self` are not in `other`, or otherwise there.
    pub(crate) fn missing_in(&self, other: &Rows) -> usize {
        let cdrs = self
            .cdrs
            .iter()
            .filter(|(id, cdr)| other.cdrs.get(id) != Some(cdr));
        let recordings = self.recordings.iter();
        let recordings = recordings.filter(|(number, row)| other.recordings.get(number) != Some(row));
        cdrs.count() + recordings.count()
    }
}
