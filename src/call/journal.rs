//! What still has to reach the ledger's disk.
//!
//! An originate does not wait for a disk: whoever knows something new of a call puts the whole call here, and the
//! `LedgerActor` writes what is here, many calls in one commit. The journal outlives both of them, so a panic on
//! either side loses nothing; only the death of the process loses what was not written yet: a few milliseconds
//! while the store is there, everything since it went away otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::id::CallId;
use super::record::Call;
use crate::metric;

/// Calls that wait to be written, at most. With the ledger down the oldest are given up beyond it.
const CAPACITY: usize = 100_000;

/// The newest state of each call that is not on disk. Cloning it gives another handle to the same journal.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<Calls>,
    unwritten: Notify,
    empty: Notify,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: BTreeMap<CallId, Arc<Call>>,
    writing: BTreeMap<CallId, Arc<Call>>,
}

impl Journal {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call, unless something newer is known of it: a thread that hung and comes back is behind the one that
    /// took its place. Never waits.
    pub fn record(&self, call: Arc<Call>) {
        let mut calls = self.calls();
        let known = calls
            .waiting
            .get(&call.id)
            .or_else(|| calls.writing.get(&call.id));
        if known.is_some_and(|known| known.revision > call.revision) {
            return;
        }
        calls.waiting.insert(call.id, call);
        if calls.waiting.len() > CAPACITY {
            // Ids are in the order of time: the first is the oldest.
            calls.waiting.pop_first();
            metric::ledger_lost().increment(1);
        }
        drop(calls);
        self.0.unwritten.notify_one();
    }

    /// What the journal itself knows of a call, where that is newer than the disk.
    pub(crate) fn get(&self, id: CallId) -> Option<Arc<Call>> {
        let calls = self.calls();
        calls.waiting.get(&id).or_else(|| calls.writing.get(&id)).cloned()
    }

    /// The newest state that it knows of each of the calls that are `wanted`.
    pub(crate) fn known(&self, wanted: impl Fn(&Call) -> bool) -> BTreeMap<CallId, Arc<Call>> {
        let calls = self.calls();
        // Of two states the one that waits is the newer, and comes last.
        let all = calls.writing.values().chain(calls.waiting.values());
        all.filter(|call| wanted(call))
            .map(|call| (call.id, Arc::clone(call)))
            .collect()
    }

    /// Waits until there is something to write.
    ///
    /// # Cancel safety
    /// Safe: what is unwritten stays.
    pub(crate) async fn unwritten(&self) {
        loop {
            // What a writer that died had taken, too.
            if self.len() > 0 {
                return;
            }
            self.0.unwritten.notified().await;
        }
    }

    /// Takes at most `limit` calls to write; they stay visible until [`written`](Self::written) or
    /// [`put_back`](Self::put_back).
    pub(crate) fn take(&self, limit: usize) -> Vec<Arc<Call>> {
        let mut calls = self.calls();
        // What an earlier taker left behind when it died.
        Self::requeue(&mut calls);
        while calls.writing.len() < limit {
            let Some((id, call)) = calls.waiting.pop_first() else {
                break;
            };
            calls.writing.insert(id, call);
        }
        calls.writing.values().cloned().collect()
    }

    /// These are on disk. What else was taken has another writer: of two the one hung, and comes back.
    pub(crate) fn written(&self, saved: &[Arc<Call>]) {
        let mut calls = self.calls();
        for call in saved {
            let known = calls.writing.get(&call.id);
            if known.is_some_and(|known| known.revision <= call.revision) {
                calls.writing.remove(&call.id);
            }
        }
        drop(calls);
        self.0.empty.notify_waiters();
    }

    /// Waits until everything is on disk.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub(crate) async fn drained(&self) {
        loop {
            let written = self.0.empty.notified();
            tokio::pin!(written);
            // Registered before the look, so that a write between the two is not missed.
            written.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            written.await;
        }
    }

    /// What was taken is not on disk: it waits again, unless something newer does.
    pub(crate) fn put_back(&self) {
        Self::requeue(&mut self.calls());
    }

    /// How many calls are not on disk.
    pub(crate) fn len(&self) -> usize {
        let calls = self.calls();
        calls.waiting.len() + calls.writing.len()
    }

    fn requeue(calls: &mut Calls) {
        for (id, call) in std::mem::take(&mut calls.writing) {
            calls.waiting.entry(id).or_insert(call);
        }
    }
}

/// Puts what the journal knew, before the disk was read, over what was read: a call that was written in between is in
/// one of the two.
pub(crate) fn overlay(stored: Vec<Call>, known: BTreeMap<CallId, Arc<Call>>) -> BTreeMap<CallId, Call> {
    let mut newest: BTreeMap<CallId, Call> = stored.into_iter().map(|call| (call.id, call)).collect();
    for (id, call) in known {
        if newest
            .get(&id)
            .is_none_or(|stored| stored.revision <= call.revision)
        {
            newest.insert(id, Arc::unwrap_or_clone(call));
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::call::tests::call;

    #[test]
    fn keeps_the_newest_state_of_a_call() {
        let journal = Journal::default();
        let mut newer = call();
        journal.record(newer.clone().into());
        newer.revision += 1;
        journal.record(newer.clone().into());
        assert_eq!(journal.take(10), [Arc::new(newer.clone())]);
        assert_eq!(journal.get(newer.id).as_deref(), Some(&newer));
    }

    #[test]
    fn what_is_older_takes_the_place_of_nothing() {
        let journal = Journal::default();
        let older = call();
        let newer = Call {
            revision: older.revision + 1,
            ..older.clone()
        };
        journal.record(newer.clone().into());
        journal.record(older.clone().into());
        assert_eq!(journal.take(10), [Arc::new(newer.clone())]);
        journal.record(older.clone().into());
        assert_eq!(
            journal.get(newer.id).as_deref(),
            Some(&newer),
            "also while it is written"
        );
    }

    #[test]
    fn a_failed_write_does_not_hide_what_came_meanwhile() {
        let journal = Journal::default();
        let (mut first, second) = (call(), call());
        journal.record(first.clone().into());
        journal.record(second.clone().into());
        assert_eq!(journal.take(10).len(), 2);
        first.revision += 1;
        journal.record(first.clone().into());
        journal.put_back();
        let mut again = journal.take(10);
        again.sort_by_key(|call| call.id);
        assert_eq!(again, [Arc::new(first), Arc::new(second)]);
    }

    #[actix_rt::test]
    async fn what_a_dead_writer_took_is_news_and_taken_again() {
        let journal = Journal::default();
        journal.record(call().into());
        assert_eq!(journal.take(10).len(), 1);
        let at_once = timeout(Duration::ZERO, journal.unwritten()).await;
        assert!(at_once.is_ok(), "no other call has to come first");
        let taken = journal.take(10);
        assert_eq!(taken.len(), 1);
        journal.written(&taken);
        assert_eq!(journal.len(), 0);
    }

    #[test]
    fn a_writer_that_comes_back_hides_nothing_of_its_successor() {
        let journal = Journal::default();
        let (mut first, second) = (call(), call());
        journal.record(first.clone().into());
        let before = journal.take(10);
        first.revision += 1;
        journal.record(first.clone().into());
        journal.record(second.clone().into());
        assert_eq!(journal.take(10).len(), 2);
        journal.written(&before);
        assert_eq!(journal.len(), 2, "the successor's write may fail still");
    }

    #[test]
    fn what_it_knows_lies_over_what_is_stored_by_revision() {
        let journal = Journal::default();
        let (only_stored, only_known) = (call(), call());
        let (mut newer_here, mut newer_there) = (call(), call());
        let stored = vec![only_stored.clone(), newer_here.clone(), {
            newer_there.revision = 2;
            newer_there.clone()
        }];
        journal.record(Arc::new(Call {
            revision: 1,
            ..newer_there.clone()
        }));
        journal.record(only_known.clone().into());
        assert_eq!(journal.take(10).len(), 2);
        newer_here.revision = 2;
        journal.record(newer_here.clone().into());
        let mut elsewhere = call();
        elsewhere.integration = "asterisk.other".to_owned();
        journal.record(elsewhere.into());
        let known = journal.known(|call| call.integration == only_known.integration);
        let newest: Vec<Call> = overlay(stored, known).into_values().collect();
        let mut expected = vec![only_stored, only_known, newer_here, newer_there];
        expected.sort_by_key(|call| call.id);
        assert_eq!(newest, expected);
        assert!(journal.known(|_| false).is_empty());
    }
}
