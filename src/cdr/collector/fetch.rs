//! Rows that are new or differ: asked for by key, checked, stored.

use std::collections::{BTreeMap, BTreeSet};

use super::interface::{CollectError, Source, Store};
use super::reply::{Listed, columns, parse, unexpected};
use super::rows::Row;
use super::{Collector, GARBLED, UNREADABLE, queries};
use crate::actor::AskError;
use crate::cdr::{Batch, InvalidRow, Position, Sourced, digest};
use crate::metric;
use crate::pac::PacError;

/// Rows remembered as unreadable; beyond that they are tried again.
const MOST_UNREADABLE: usize = 10_000;

/// What came of the rows that were asked for.
struct Fetched<R: Row> {
    rows: BTreeMap<R::Key, Sourced<R>>,
    /// Rows that arrived as the source has them, and are none.
    unreadable: Vec<(R::Key, InvalidRow)>,
    garbled: u64,
}

impl<S: Source, T: Store> Collector<S, T> {
    /// Takes from a list what the store has not, or has otherwise, and stores it, at most `page_rows` rows in one
    /// transaction. The position that the last of them carries is made from the greatest key that is beyond doubt.
    ///
    /// Answers how many listed rows did not arrive, or arrived altered: they are left out, and whoever promises that
    /// nothing is missing must ask again.
    pub(super) async fn absorb<R: Row>(
        &mut self,
        listed: &[Listed<R::Key>],
        position: impl FnOnce(Option<R::Key>) -> Option<Position>,
    ) -> Result<u64, CollectError> {
        let (wanted, mut greatest) = self.wanted::<R>(listed).await?;
        let mut garbled = 0;
        let mut last = Batch::default();
        for keys in wanted.chunks(self.settings.page_rows.max(1)) {
            self.apply(std::mem::take(&mut last)).await?;
            let fetched = self.fetch::<R>(keys).await?;
            garbled += fetched.garbled;
            greatest = greatest.max(fetched.rows.last_key_value().map(|(key, _)| *key));
            for (key, reason) in fetched.unreadable {
                self.set_aside::<R>(key, &reason, listed);
            }
            last = R::batch(fetched.rows.into_values().collect());
        }
        last.position = position(greatest);
        self.apply(last).await?;
        Ok(garbled)
    }

    /// Stores a batch and counts what it changed.
    pub(super) async fn apply(&mut self, batch: Batch) -> Result<(), CollectError> {
        if batch.position.is_none() && batch.cdrs.is_empty() && batch.recordings.is_empty() {
            return Ok(());
        }
        let changes = self.store.apply(batch).await?;
        self.stored += changes;
        for (change, rows) in [("inserted", changes.inserted), ("updated", changes.updated)] {
            metric::cdr_stored(self.pbx.clone(), change).increment(rows);
        }
        Ok(())
    }

    /// The keys, in order, of which no listed digest is the stored one and that are not known to be unreadable; and
    /// the greatest of the others. A source without a primary key may list one key twice: then either row will do.
    async fn wanted<R: Row>(
        &self,
        listed: &[Listed<R::Key>],
    ) -> Result<(Vec<R::Key>, Option<R::Key>), CollectError> {
        let mut digests: BTreeMap<R::Key, Vec<&str>> = BTreeMap::new();
        for (key, digest) in listed {
            digests.entry(*key).or_default().push(digest);
        }
        let keys: Vec<R::Key> = digests.keys().copied().collect();
        if keys.is_empty() {
            return Ok((keys, None));
        }
        let stored = self.store.digests(R::stored_among(&keys)).await?;
        let stored: BTreeMap<String, String> = stored.into_iter().collect();
        let (wanted, had): (Vec<R::Key>, Vec<R::Key>) = keys.into_iter().partition(|key| {
            let text = key.to_string();
            ![&stored, &self.unreadable].iter().any(|known| {
                known
                    .get(&text)
                    .is_some_and(|digest| digests[key].contains(&digest.as_str()))
            })
        });
        Ok((wanted, had.last().copied()))
    }

    /// Asks for rows by key. A reply over the limit is asked for in halves.
    async fn fetch<R: Row>(&self, keys: &[R::Key]) -> Result<Fetched<R>, CollectError> {
        let mut fetched = Fetched {
            rows: BTreeMap::new(),
            unreadable: Vec::new(),
            garbled: 0,
        };
        let mut parts = vec![keys.to_vec()];
        while let Some(keys) = parts.pop() {
            let statement = queries::fetch::<R>(&keys);
            let name = statement.name();
            match columns(&self.source, statement).await {
                Ok(lines) => read(name, &keys, lines, &mut fetched)?,
                Err(error) if too_large(&error) => match keys.as_slice() {
                    // Not the row itself, perhaps: what says so is no row that could be checked.
                    [_] => fetched.garbled += 1,
                    keys => {
                        let (first, second) = keys.split_at(keys.len() / 2);
                        parts.extend([second.to_vec(), first.to_vec()]);
                    }
                },
                Err(error) => return Err(error),
            }
        }
        if fetched.garbled > 0 {
            tracing::warn!(pbx = %self.pbx, rows = fetched.garbled, "rows did not arrive, or altered");
            self.count_quarantined(GARBLED, fetched.garbled);
        }
        Ok(fetched)
    }

    /// Leaves a row out until it changes, so that it stops nothing else.
    fn set_aside<R: Row>(&mut self, key: R::Key, reason: &InvalidRow, listed: &[Listed<R::Key>]) {
        tracing::error!(pbx = %self.pbx, key = %key, %reason, "a row cannot be stored and is left out");
        self.count_quarantined(UNREADABLE, 1);
        if self.unreadable.len() >= MOST_UNREADABLE {
            self.unreadable.clear();
        }
        if let Some((_, digest)) = listed.iter().find(|(listed, _)| *listed == key) {
            self.unreadable.insert(key.to_string(), digest.clone());
        }
    }

    fn count_quarantined(&self, reason: &'static str, rows: u64) {
        metric::cdr_quarantined(self.pbx.clone(), reason).increment(rows);
    }
}

/// Sorts the rows of one reply. A row may have changed since it was listed, which is well: it is stored as it is
/// now. One whose digest is not that of its text was altered on the way; one that is missing may be gone from the
/// source, and then the next list will not have it.
fn read<R: Row>(
    statement: &'static str,
    keys: &[R::Key],
    lines: Vec<[String; 3]>,
    fetched: &mut Fetched<R>,
) -> Result<(), CollectError> {
    let mut missing: BTreeSet<R::Key> = keys.iter().copied().collect();
    for [key, line, source_digest] in lines {
        let key: R::Key = parse(statement, &key)?;
        if keys.binary_search(&key).is_err() {
            return Err(unexpected(statement, "rows that were not asked for"));
        }
        if digest(&line) != source_digest {
            continue;
        }
        match R::from_source(&line) {
            Ok(row) if row.key() == key => {
                fetched.rows.insert(key, Sourced { row, source_digest });
            }
            Ok(_) => continue,
            Err(invalid) => fetched.unreadable.push((key, invalid)),
        }
        missing.remove(&key);
    }
    fetched.garbled += missing.len() as u64;
    Ok(())
}

fn too_large(error: &CollectError) -> bool {
    matches!(
        error,
        CollectError::Source {
            error: AskError::Reply(PacError::TooLarge { .. }),
            ..
        }
    )
}
