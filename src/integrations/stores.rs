//! The actors of the gateway's own stores.

use tokio::time::timeout;

use super::BUILD_TIMEOUT;
use crate::actor::{Class, Placement, Spawn};
use crate::call::{Journal, Registry};
use crate::cdr::{self, CdrHandle, digest};
use crate::ledger::key::{AuditLog, KeyRing};
use crate::ledger::{self, LedgerHandle, LedgerSettings};
use crate::settings::{Settings, StoreSettings};

/// The actors of the gateway's own stores.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The CDR store.
    pub cdr: CdrHandle,
    /// The keys, as the ledger last had them.
    pub keys: KeyRing,
    /// What waits for the ledger to be written to the audit.
    pub audit: AuditLog,
    /// Which calls live.
    pub registry: Registry,
}

impl Stores {
    /// Starts both.
    pub fn spawn(settings: &Settings, placement: Placement) -> Self {
        let ledger = ledger_settings(settings);
        let (journal, keys, audit) = (ledger.journal.clone(), ledger.keys.clone(), ledger.audit.clone());
        Self {
            ledger: ledger::spawn(ledger, placement),
            cdr: cdr_store(&settings.store, placement),
            keys,
            audit,
            registry: Registry::new(journal),
        }
    }

    /// Waits until the keys were read, or the ledger says that it cannot be used; for a while.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn keys_read(&self) {
        let read = async {
            self.ledger.health().has_published().await;
            if self.ledger.health().report().usable {
                self.keys.was_loaded().await;
            }
        };
        if timeout(BUILD_TIMEOUT, read).await.is_err() || !self.keys.state().loaded {
            tracing::warn!("the keys cannot be read yet: requests are refused until they are");
        }
    }
}

/// What the ledger's actor is built from, with nothing in it yet.
pub fn ledger_settings(settings: &Settings) -> LedgerSettings {
    LedgerSettings {
        store: settings.store.clone(),
        journal: Journal::default(),
        keys: KeyRing::default(),
        audit: AuditLog::default(),
        audit_keep_days: settings.audit.keep_days,
        host: host(settings),
        provisional_instance: provisional_instance(settings),
    }
}

/// Starts the actor of the CDR store.
pub fn cdr_store(settings: &StoreSettings, placement: Placement) -> CdrHandle {
    let spawn = Spawn::new(
        "cdr".to_owned(),
        placement,
        vec![(Class::Read, settings.limits), (Class::Write, settings.limits)],
    );
    cdr::spawn_cdr(spawn, settings.clone())
}

/// This gateway among those on the same ledger.
fn host(settings: &Settings) -> String {
    let name = gethostname::gethostname();
    format!("{}:{}", name.to_string_lossy(), settings.http.port)
}

/// Its name while the ledger does not tell its own: the same at each start on this host and port.
pub(super) fn provisional_instance(settings: &Settings) -> String {
    format!("p{}", &digest(&host(settings))[..8])
}
