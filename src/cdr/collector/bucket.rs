//! One range of keys, compared by count and hash and repaired where it differs.

use super::Collector;
use super::interface::{CollectError, Source, Store};
use super::reply::{Tally, key_page, last_of_full, tally};
use super::rows::Row;
use crate::cdr::digest;

/// What a range was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reconciled {
    /// How many rows the source has in it.
    pub(super) rows: u64,
    /// How many of them did not arrive, or altered.
    pub(super) garbled: u64,
}

impl<S: Source, T: Store> Collector<S, T> {
    /// Makes sure that the store has what the source has with `from <= key < until`. What the source no longer has
    /// stays stored.
    ///
    /// A range that still differs after it was repaired holds rows that the source lost, or that cannot be stored:
    /// its tally is remembered as settled, and it is not read again until the tally changes.
    ///
    /// A range that is empty in the source is left as it is.
    pub(super) async fn reconcile<R: Row>(
        &mut self,
        from: R::Key,
        until: R::Key,
    ) -> Result<Reconciled, CollectError> {
        let theirs = tally::<R>(&self.source, from, until).await?;
        let mut reconciled = Reconciled {
            rows: theirs.count,
            garbled: 0,
        };
        if theirs.count == 0 {
            return Ok(reconciled);
        }
        let place = from.to_string();
        let stored = self.store.digests(R::stored_between(from, until)).await?;
        if theirs == tally_of(&stored) {
            self.settled.remove(&place);
            return Ok(reconciled);
        }
        if self.settled.get(&place) == Some(&theirs) {
            return Ok(reconciled);
        }
        reconciled.garbled = self.repair::<R>(from, until, theirs.count).await?;
        if reconciled.garbled == 0 {
            if self.settled.len() >= MOST_SETTLED {
                self.settled.clear();
            }
            self.settled.insert(place, theirs);
        }
        Ok(reconciled)
    }

    async fn repair<R: Row>(
        &mut self,
        mut from: R::Key,
        until: R::Key,
        expected: u64,
    ) -> Result<u64, CollectError> {
        let (mut listed, mut garbled) = (0, 0);
        loop {
            let page = key_page::<R>(&self.source, from, until).await?;
            garbled += self.absorb::<R>(&page, |_| None).await?;
            listed += page.len() as u64;
            let Some(last) = last_of_full(&page) else { break };
            from = R::next_key(last);
        }
        Ok(garbled + expected.saturating_sub(listed))
    }
}

fn tally_of(stored: &[(String, String)]) -> Tally {
    let digests: String = stored.iter().map(|(_, digest)| digest.as_str()).collect();
    Tally {
        count: stored.len() as u64,
        digest: digest(&digests),
    }
}

/// Ranges remembered as settled; beyond that they are read again.
const MOST_SETTLED: usize = 10_000;
