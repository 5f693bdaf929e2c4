//! What waits to be written to the audit.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::api_key::KeyId;
use super::audit::{AuditAction, AuditEntry, Principal};
use crate::metric;

/// Kinds of refusals that get a row each at once, and how many more a minute; all others are one row a minute together.
const KINDS: NonZeroU32 = NonZeroU32::new(100).unwrap();
const KINDS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(2).unwrap();
const OTHERS_INTERVAL: Duration = Duration::from_secs(60);

/// What operators did that waits to be written, at most.
const ACTS: usize = 1_000;

/// What refusals have in common to be counted as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    key_id: Option<KeyId>,
    /// Of a key only the key counts: its owner may come from many addresses.
    origin: Option<String>,
    route: String,
    code: &'static str,
}

/// What waits to be written: refusals, counted by kind, and what operators did. Recording never waits, so that it works
/// while the ledger itself is what is restarted, and the log never grows beyond its bounds. Cloning it gives another door
/// to the same log.
#[derive(Debug, Clone, Default)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// Something waits that should be on disk soon.
    urgent: Notify,
    /// Kinds that get rows of their own.
    kinds: DefaultDirectRateLimiter,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            urgent: Notify::default(),
            kinds: RateLimiter::direct(Quota::per_minute(KINDS_PER_MINUTE).allow_burst(KINDS)),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    kinds: HashMap<Kind, (Principal, u64)>,
    /// Refusals of further kinds, and when the latest row of such was taken.
    others: u64,
    others_taken_at: Option<Instant>,
    acts: Vec<AuditEntry>,
}

impl AuditLog {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a refusal: of whom, as far as that is known, on which route, by its pattern and never its path, and with
    /// the code of which error. Never waits.
    pub fn record(&self, by: Principal, route: String, code: &'static str) {
        let kind = Kind {
            key_id: by.key_id,
            origin: by.key_id.is_none().then(|| by.origin.clone()),
            route,
            code,
        };
        let mut waiting = self.waiting();
        if waiting.kinds.contains_key(&kind) || self.0.kinds.check().is_ok() {
            waiting.add(kind, by, 1);
        } else {
            waiting.others += 1;
            metric::audit_lost().increment(1);
        }
    }

    /// Takes note of what an operator did to an integration, and has it written as soon as the ledger can. Never waits.
    pub fn record_act(&self, action: AuditAction, integration: &str, by: Principal) {
        let entry = AuditEntry::change(action, integration.to_owned(), by);
        self.waiting().add_act(entry);
        self.0.urgent.notify_one();
    }

    /// Waits until something was recorded that should be on disk soon.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub(in crate::ledger) async fn urgent(&self) {
        self.0.urgent.notified().await;
    }

    /// Takes what waits, to be written.
    pub(in crate::ledger) fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        let mut taken = std::mem::take(&mut *waiting);
        let taken_at = taken.others_taken_at;
        waiting.others_taken_at = taken_at;
        if taken_at.is_some_and(|at| at.elapsed() < OTHERS_INTERVAL) {
            waiting.others = std::mem::take(&mut taken.others);
        } else if taken.others > 0 {
            waiting.others_taken_at = Some(Instant::now());
        }
        Batch {
            taken,
            log: self.clone(),
        }
    }
}

impl Waiting {
    fn add(&mut self, kind: Kind, by: Principal, count: u64) {
        let (latest, total) = self.kinds.entry(kind).or_insert_with(|| (by.clone(), 0));
        *latest = by;
        *total += count;
    }

    fn add_act(&mut self, entry: AuditEntry) {
        if self.acts.len() < ACTS {
            self.acts.push(entry);
        } else {
            tracing::error!(
                action = entry.action.as_str(),
                integration = entry.subject,
                who = entry.who,
                "the audit is full: this is given up"
            );
            metric::audit_lost().increment(1);
        }
    }
}

/// What was taken out of the log. Dropped, as where the ledger is restarted while it writes, it goes back to wait again,
/// with what came meanwhile: what operators did is written once whatever happens, as the store knows its id; refusals may
/// be counted twice.
#[derive(Debug)]
pub(in crate::ledger) struct Batch {
    taken: Waiting,
    log: AuditLog,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Waiting {
            kinds, others, acts, ..
        } = std::mem::take(&mut self.taken);
        let mut waiting = self.log.waiting();
        for (kind, (by, count)) in kinds {
            waiting.add(kind, by, count);
        }
        waiting.others += others;
        for entry in acts {
            waiting.add_act(entry);
        }
    }
}

impl Batch {
    /// It is on disk, or given up: it does not go back.
    pub(in crate::ledger) fn settle(mut self) {
        self.taken = Waiting::default();
    }

    pub(in crate::ledger) fn is_empty(&self) -> bool {
        self.taken.kinds.is_empty() && self.taken.others == 0 && self.taken.acts.is_empty()
    }

    /// How many refusals and acts these are.
    pub(in crate::ledger) fn count(&self) -> u64 {
        let refused: u64 = self.taken.kinds.values().map(|(_, count)| count).sum();
        self.taken.others + refused + self.taken.acts.len() as u64
    }

    /// As entries: each act, one of each kind of refusals, and one for all the others.
    pub(in crate::ledger) fn entries(&self) -> Vec<AuditEntry> {
        let refused = AuditAction::RequestRefused;
        let kinds = self.taken.kinds.iter().map(|(kind, (by, count))| {
            AuditEntry::new(refused, kind.route.clone(), by.clone(), Some(kind.code), *count)
        });
        let many = Principal {
            who: "many".to_owned(),
            key_id: None,
            origin: "many".to_owned(),
            request_id: None,
        };
        let subject = format!("and {} others", self.taken.others);
        let others =
            (self.taken.others > 0).then(|| AuditEntry::new(refused, subject, many, None, self.taken.others));
        let acts = self.taken.acts.iter().cloned();
        acts.chain(kinds).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use uuid::Uuid;

    use super::*;

    fn from(origin: &str) -> Principal {
        Principal {
            who: "nobody known".to_owned(),
            key_id: None,
            origin: origin.to_owned(),
            request_id: Some("r".to_owned()),
        }
    }

    fn refuse(log: &AuditLog, origin: &str, code: &'static str) {
        log.record(from(origin), "/pbx-api/cdr".to_owned(), code);
    }

    fn counts(batch: &Batch) -> Vec<u64> {
        let mut counts: Vec<u64> = batch.entries().iter().map(|entry| entry.count).collect();
        counts.sort_unstable();
        counts
    }

    /// Takes what waits for good.
    fn take(log: &AuditLog) -> Vec<u64> {
        let batch = log.take();
        let counts = counts(&batch);
        batch.settle();
        counts
    }

    #[test]
    fn the_same_refusal_is_one_entry_with_a_count() {
        let log = AuditLog::default();
        for _ in 0..1_000 {
            refuse(&log, "192.0.2.1", "unauthenticated");
        }
        refuse(&log, "192.0.2.1", "rate_limited");
        refuse(&log, "192.0.2.2", "unauthenticated");
        assert_eq!(take(&log), [1, 1, 1_000]);
        assert!(log.take().is_empty());
    }

    #[test]
    fn a_key_is_one_kind_wherever_it_is_used() {
        let log = AuditLog::default();
        for host in 0..200 {
            let by = Principal {
                key_id: Some(KeyId(Uuid::from_u128(7))),
                ..from(&format!("192.0.2.{host}"))
            };
            log.record(by, "/pbx-api/cdr".to_owned(), "scope_missing");
        }
        assert_eq!(take(&log), [200]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_grow_however_many_ask() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let log = AuditLog::default();
        let ask = || {
            for host in 0..5_000 {
                refuse(&log, &format!("2001:db8::{host:x}"), "unauthenticated");
            }
        };
        metrics::with_local_recorder(&recorder, ask);
        assert_eq!(
            recorder
                .handle()
                .render()
                .matches("mege_audit_lost_total 4900\n")
                .count(),
            1
        );
        let batch = log.take();
        let rows = KINDS.get() as usize + 1;
        assert_eq!((batch.entries().len(), batch.count()), (rows, 5_000));
        let others = batch.entries().pop().unwrap();
        assert_eq!(others.subject, "and 4900 others");
        // Written in vain: nothing is counted twice, and nothing forgotten.
        ask();
        drop(batch);
        let batch = log.take();
        assert_eq!(
            (batch.entries().len(), batch.count()),
            (rows - 1, 100),
            "others wait"
        );
        batch.settle();
        tokio::time::advance(OTHERS_INTERVAL).await;
        let batch = log.take();
        assert_eq!((batch.entries().len(), batch.count()), (1, 9_900));
        batch.settle();
        // Whoever comes next has no row, and those of before have none any more.
        refuse(&log, "192.0.2.1", "unauthenticated");
        assert_eq!(log.take().entries().len(), 0);
    }

    #[test]
    fn what_operators_did_stays_whole_and_in_order_whatever_interrupts_its_writing() {
        let log = AuditLog::default();
        let act = |action| log.record_act(action, "ledger", from("192.0.2.1"));
        act(AuditAction::IntegrationRestarted);
        let batch = log.take();
        let first = batch.entries();
        act(AuditAction::IntegrationPaused);
        drop(batch);
        let batch = log.take();
        let again = batch.entries();
        assert_eq!((again.len(), batch.count()), (2, 2));
        assert!(
            again.contains(&first[0]),
            "the same id, so that it is written once"
        );
        batch.settle();
        for _ in 0..2 * ACTS {
            act(AuditAction::IntegrationResumed);
        }
        assert_eq!(log.take().count(), ACTS as u64);
    }
}
