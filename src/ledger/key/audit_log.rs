//! What waits to be written to the audit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::api_key::KeyId;
use super::audit::{AuditAction, AuditEntry, Principal};
use crate::metric;

/// Kinds of refusals that are told apart; any more are one row together.
const KINDS: usize = 100;

/// How long a kind that goes on is counted before its next row; and for how long its place is kept after the last one.
const ROW_INTERVAL: Duration = Duration::from_secs(3_600);

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

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// Something waits that should be on disk soon.
    urgent: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    kinds: HashMap<Kind, Counted>,
    others: Counted,
    acts: Vec<AuditEntry>,
}

/// Refusals since the latest row of their kind.
#[derive(Debug, Default)]
struct Counted {
    count: u64,
    latest: Option<Principal>,
    row_at: Option<Instant>,
}

impl Counted {
    fn is_due(&self) -> bool {
        self.row_at.is_none_or(|at| at.elapsed() >= ROW_INTERVAL)
    }

    /// What there is to tell now: what is due, or everything.
    fn take(&mut self, everything: bool) -> Option<(Option<Principal>, u64)> {
        if self.count == 0 || !(everything || self.is_due()) {
            return None;
        }
        self.row_at = Some(Instant::now());
        Some((self.latest.clone(), std::mem::take(&mut self.count)))
    }
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
        self.waiting().add(kind, by, 1);
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

    /// Takes what is due, to be written: each kind at once when it is new, then once in an hour.
    pub(in crate::ledger) fn take_due(&self) -> Batch {
        self.take(false)
    }

    /// Takes everything that waits, to be written before the end.
    pub(in crate::ledger) fn take_all(&self) -> Batch {
        self.take(true)
    }

    fn take(&self, everything: bool) -> Batch {
        let mut waiting = self.waiting();
        let waiting = &mut *waiting;
        let kinds = waiting.kinds.iter_mut();
        let kinds = kinds.filter_map(|(kind, counted)| {
            let (by, count) = counted.take(everything)?;
            Some((kind.clone(), by?, count))
        });
        let batch = Batch {
            kinds: kinds.collect(),
            others: waiting.others.take(everything).map_or(0, |(_, count)| count),
            acts: std::mem::take(&mut waiting.acts),
            log: self.clone(),
        };
        waiting
            .kinds
            .retain(|_, counted| counted.count > 0 || !counted.is_due());
        batch
    }
}

impl Waiting {
    fn add(&mut self, kind: Kind, by: Principal, count: u64) {
        let is_new = !self.kinds.contains_key(&kind);
        if is_new && self.kinds.len() >= KINDS {
            self.others.count += count;
            metric::audit_lost().increment(count);
            return;
        }
        let counted = self.kinds.entry(kind).or_default();
        counted.count += count;
        counted.latest = Some(by);
    }

    /// What was taken and not written is due at once.
    fn give_back(&mut self, kind: Kind, by: Principal, count: u64) {
        self.add(kind.clone(), by, count);
        if let Some(counted) = self.kinds.get_mut(&kind) {
            counted.row_at = None;
        }
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
    kinds: Vec<(Kind, Principal, u64)>,
    others: u64,
    acts: Vec<AuditEntry>,
    log: AuditLog,
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let mut waiting = self.log.waiting();
        for (kind, by, count) in self.kinds.drain(..) {
            waiting.give_back(kind, by, count);
        }
        if self.others > 0 {
            waiting.others.count += self.others;
            waiting.others.row_at = None;
        }
        for entry in self.acts.drain(..) {
            waiting.add_act(entry);
        }
    }
}

impl Batch {
    /// It is on disk, or given up: it does not go back.
    pub(in crate::ledger) fn settle(mut self) {
        self.kinds.clear();
        self.others = 0;
        self.acts.clear();
    }

    pub(in crate::ledger) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.others == 0 && self.acts.is_empty()
    }

    /// How many refusals and acts these are.
    pub(in crate::ledger) fn count(&self) -> u64 {
        let refused: u64 = self.kinds.iter().map(|(_, _, count)| count).sum();
        self.others + refused + self.acts.len() as u64
    }

    /// As entries: each act, one of each kind of refusals, and one for all the others.
    pub(in crate::ledger) fn entries(&self) -> Vec<AuditEntry> {
        let refused = AuditAction::RequestRefused;
        let kinds = self.kinds.iter().map(|(kind, by, count)| {
            AuditEntry::new(refused, kind.route.clone(), by.clone(), Some(kind.code), *count)
        });
        let many = Principal {
            who: "many".to_owned(),
            key_id: None,
            origin: "many".to_owned(),
            request_id: None,
        };
        let subject = format!("and {} others", self.others);
        let others = (self.others > 0).then(|| AuditEntry::new(refused, subject, many, None, self.others));
        let acts = self.acts.iter().cloned();
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
        let batch = log.take_due();
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
        assert!(log.take_due().is_empty());
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
        let batch = log.take_due();
        assert_eq!((batch.entries().len(), batch.count()), (KINDS + 1, 5_000));
        let others = batch.entries().pop().unwrap();
        assert_eq!(others.subject, "and 4900 others");
        // Written in vain: nothing is counted twice, and nothing forgotten.
        ask();
        drop(batch);
        let batch = log.take_due();
        assert_eq!((batch.entries().len(), batch.count()), (KINDS + 1, 10_000));
        batch.settle();
        let mut rows = 0;
        for _ in 0..24 * 60 {
            for host in 0..150 {
                refuse(&log, &format!("2001:db8::{host:x}"), "unauthenticated");
            }
            tokio::time::advance(Duration::from_secs(60)).await;
            let batch = log.take_due();
            rows += batch.entries().len();
            batch.settle();
        }
        assert_eq!(rows, 24 * (KINDS + 1), "of a day's flood");
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_has_a_row_at_once_and_then_one_in_an_hour_and_loses_nothing() {
        let log = AuditLog::default();
        let mut told = Vec::new();
        for _ in 0..3_600 {
            refuse(&log, "192.0.2.1", "unauthenticated");
            told.extend(take(&log));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert_eq!(told, [1, 1_800]);
        let rest = log.take_all();
        assert_eq!(counts(&rest), [1_799]);
        rest.settle();
        // Who comes back after a while is new.
        tokio::time::advance(ROW_INTERVAL).await;
        assert!(take(&log).is_empty());
        refuse(&log, "192.0.2.1", "unauthenticated");
        assert_eq!(take(&log), [1]);
    }

    #[test]
    fn what_operators_did_stays_whole_and_in_order_whatever_interrupts_its_writing() {
        let log = AuditLog::default();
        let act = |action| log.record_act(action, "ledger", from("192.0.2.1"));
        act(AuditAction::IntegrationRestarted);
        let batch = log.take_due();
        let first = batch.entries();
        act(AuditAction::IntegrationPaused);
        drop(batch);
        let batch = log.take_due();
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
        assert_eq!(log.take_due().count(), ACTS as u64);
    }
}
