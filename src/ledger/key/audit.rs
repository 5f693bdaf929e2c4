//! The audit: each change of the keys, and each refusal, with who, what, when and from where.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::api_key::KeyId;
use crate::metric;

/// Kinds of refusals that are told apart between two writes; any more are one row together.
const KINDS: usize = 100;

/// An entry's id: a UUIDv7, so that ids are in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AuditId(pub Uuid);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// A key was made.
    KeyCreated,
    /// A key was revoked.
    KeyRevoked,
    /// The key that signs links was replaced: every link made before is void.
    LinksRotated,
    /// A request was refused for who sent it.
    RequestRefused,
}

impl AuditAction {
    /// Its name in the API and the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key_created",
            Self::KeyRevoked => "key_revoked",
            Self::LinksRotated => "links_rotated",
            Self::RequestRefused => "request_refused",
        }
    }

    /// The action of that name.
    pub(in crate::ledger) fn from_name(name: &str) -> Option<Self> {
        use AuditAction::{KeyCreated, KeyRevoked, LinksRotated, RequestRefused};
        [KeyCreated, KeyRevoked, LinksRotated, RequestRefused]
            .into_iter()
            .find(|action| action.as_str() == name)
    }
}

/// Who acts, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// In words, such as the key's name, or `command line (root)`.
    pub who: String,
    /// The key, where one was used.
    pub key_id: Option<KeyId>,
    /// The address the request came from, or the host of the command line.
    pub origin: String,
    /// The request, where there was one.
    pub request_id: Option<String>,
}

/// One entry. It holds no secret and no phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// What it happened to: a key's name and id, or a route's pattern.
    pub subject: String,
    /// Why, where something was refused: the code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often, since the entry before it of the same kind.
    pub count: u64,
    /// Who did it, in words.
    pub who: String,
    /// The key that was used, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The address, or the host of the command line.
    pub origin: String,
    /// The request, the latest of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditEntry {
    /// An entry about something that happened once, just now.
    pub(in crate::ledger) fn change(action: AuditAction, subject: String, by: Principal) -> Self {
        Self::new(action, subject, by, None, 1)
    }

    fn new(
        action: AuditAction,
        subject: String,
        by: Principal,
        code: Option<&'static str>,
        count: u64,
    ) -> Self {
        Self {
            id: AuditId(Uuid::now_v7()),
            at: super::now(),
            action,
            subject,
            code: code.map(str::to_owned),
            count,
            who: by.who,
            key_id: by.key_id,
            origin: by.origin,
            request_id: by.request_id,
        }
    }
}

/// A request that was refused for who sent it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Who sent it, as far as that is known.
    pub by: Principal,
    /// The route's pattern, never the path.
    pub route: String,
    /// The code of the error.
    pub code: &'static str,
}

/// What refusals have in common to be counted as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    key_id: Option<KeyId>,
    /// Of a key only the key counts: its owner may come from many addresses.
    origin: Option<String>,
    route: String,
    code: &'static str,
}

/// Refusals that wait to be written, counted by kind. Recording one never waits, and the log never grows beyond its
/// bound. Cloning it gives another door to the same log.
#[derive(Debug, Clone, Default)]
pub struct AuditLog(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    kinds: HashMap<Kind, (Principal, u64)>,
    /// Refusals of further kinds.
    others: u64,
}

impl AuditLog {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a refusal. Never waits.
    pub fn record(&self, refused: Refused) {
        let Refused { by, route, code } = refused;
        let kind = Kind {
            key_id: by.key_id,
            origin: by.key_id.is_none().then(|| by.origin.clone()),
            route,
            code,
        };
        self.waiting().add(kind, by, 1);
    }

    /// Takes everything that waits, to be written or [put back](Self::put_back).
    pub(in crate::ledger) fn take(&self) -> Batch {
        Batch(std::mem::take(&mut *self.waiting()))
    }

    /// What was taken is not on disk: it waits again, with what came meanwhile.
    pub(in crate::ledger) fn put_back(&self, batch: Batch) {
        let mut waiting = self.waiting();
        for (kind, (by, count)) in batch.0.kinds {
            waiting.add(kind, by, count);
        }
        waiting.others += batch.0.others;
    }
}

impl Waiting {
    fn add(&mut self, kind: Kind, by: Principal, count: u64) {
        if let Some((latest, total)) = self.kinds.get_mut(&kind) {
            *latest = by;
            *total += count;
        } else if self.kinds.len() < KINDS {
            self.kinds.insert(kind, (by, count));
        } else {
            self.others += count;
            metrics::counter!(metric::AUDIT_LOST).increment(count);
        }
    }
}

/// What was taken out of the log.
#[derive(Debug)]
pub(in crate::ledger) struct Batch(Waiting);

impl Batch {
    pub(in crate::ledger) fn is_empty(&self) -> bool {
        self.0.kinds.is_empty() && self.0.others == 0
    }

    /// How many refusals these are.
    pub(in crate::ledger) fn count(&self) -> u64 {
        self.0.others + self.0.kinds.values().map(|(_, count)| count).sum::<u64>()
    }

    /// As entries, one of each kind, and one for all the others.
    pub(in crate::ledger) fn entries(&self) -> Vec<AuditEntry> {
        let refused = AuditAction::RequestRefused;
        let kinds = self.0.kinds.iter().map(|(kind, (by, count))| {
            AuditEntry::new(refused, kind.route.clone(), by.clone(), Some(kind.code), *count)
        });
        let many = Principal {
            who: "many".to_owned(),
            key_id: None,
            origin: "many".to_owned(),
            request_id: None,
        };
        let subject = format!("and {} others", self.0.others);
        let others =
            (self.0.others > 0).then(|| AuditEntry::new(refused, subject, many, None, self.0.others));
        kinds.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(origin: &str, code: &'static str) -> Refused {
        Refused {
            by: Principal {
                who: "nobody known".to_owned(),
                key_id: None,
                origin: origin.to_owned(),
                request_id: Some("r".to_owned()),
            },
            route: "/pbx-api/cdr".to_owned(),
            code,
        }
    }

    fn counts(batch: &Batch) -> Vec<u64> {
        let mut counts: Vec<u64> = batch.entries().iter().map(|entry| entry.count).collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn the_same_refusal_is_one_entry_with_a_count() {
        let log = AuditLog::default();
        for _ in 0..1_000 {
            log.record(refused("192.0.2.1", "unauthenticated"));
        }
        log.record(refused("192.0.2.1", "rate_limited"));
        log.record(refused("192.0.2.2", "unauthenticated"));
        assert_eq!(counts(&log.take()), [1, 1, 1_000]);
        assert!(log.take().is_empty());
    }

    #[test]
    fn a_key_is_one_kind_wherever_it_is_used() {
        let log = AuditLog::default();
        for host in 0..200 {
            let mut refused = refused(&format!("192.0.2.{host}"), "scope_missing");
            refused.by.key_id = Some(KeyId(Uuid::from_u128(7)));
            log.record(refused);
        }
        assert_eq!(counts(&log.take()), [200]);
    }

    #[test]
    fn it_does_not_grow_however_many_ask() {
        let log = AuditLog::default();
        let ask = || {
            for host in 0..5_000 {
                log.record(refused(&format!("2001:db8::{host:x}"), "unauthenticated"));
            }
        };
        ask();
        let batch = log.take();
        assert_eq!((batch.entries().len(), batch.count()), (KINDS + 1, 5_000));
        let others = batch.entries().pop().unwrap();
        assert_eq!(others.subject, "and 4900 others");
        // Written in vain: nothing is counted twice, and nothing forgotten.
        ask();
        log.put_back(batch);
        let batch = log.take();
        assert_eq!((batch.entries().len(), batch.count()), (KINDS + 1, 10_000));
    }
}
