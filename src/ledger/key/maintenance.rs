//! What keeps the ring up to date and the audit written.

use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use jiff::SignedDuration;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::sleep;

use super::audit_log::{AuditLog, Batch};
use super::now;
use super::ring::{KeyRing, Loaded};
use super::secret::LinkKey;
use crate::database::StoreError;
use crate::ledger::actor::{LedgerSettings, Store};
use crate::ledger::store::DELETE_LIMIT;
use crate::metric;

/// Between two looks at the generation: a key that is revoked elsewhere holds so much longer at most.
const REFRESH_INTERVAL: Duration = Duration::from_millis(300);

/// Between two looks whether the store is open yet: the start waits for the keys.
const OPEN_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Between two writes of what was refused.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// How many flushes lie at most between two looks for entries that are past their time: an hour.
const FLUSHES_PER_CLEANING: u32 = 720;

/// Reads keys for the ring, and writes and clears the audit. Clones share the one place for reading.
#[derive(Clone)]
pub(in crate::ledger) struct Maintenance {
    store: Arc<OnceCell<Store>>,
    ring: KeyRing,
    audit: AuditLog,
    keep: SignedDuration,
    /// Held while keys are read, so that what was read earlier never takes the place of what was read later.
    reading: Arc<Mutex<()>>,
}

impl Maintenance {
    pub(in crate::ledger) fn new(settings: &LedgerSettings, store: Arc<OnceCell<Store>>) -> Self {
        Self {
            store,
            ring: settings.keys.clone(),
            audit: settings.audit.clone(),
            keep: SignedDuration::from_hours(24 * i64::from(settings.audit_keep_days)),
            reading: Arc::default(),
        }
    }

    /// Works for ever.
    pub(in crate::ledger) async fn run(self) {
        // Side by side: a slow write must not keep a revocation from being seen.
        join!(self.keep_ring(), self.keep_audit());
    }

    async fn keep_ring(&self) {
        let mut failed = false;
        loop {
            // Until the store is open there is nothing to look at, and whoever opens it tells why.
            if !self.store.initialized() {
                sleep(OPEN_CHECK_INTERVAL).await;
                continue;
            }
            let done = self.refresh().await;
            if let Err(error) = &done
                && !failed
            {
                tracing::warn!(%error, "the keys cannot be looked at; those that are known go on being served");
            }
            failed = done.is_err();
            sleep(REFRESH_INTERVAL).await;
        }
    }

    /// Reads the keys anew, if they have changed.
    ///
    /// # Cancel safety
    /// Safe: the ring then stays as it is.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        let Some(store) = self.store.get() else {
            return Ok(());
        };
        let _reading = self.reading.lock().await;
        // Before the keys: what changes between the two is read again at the next look.
        let generation = store.key_generation().await?;
        if self.ring.generation() == Some(generation) {
            self.ring.confirm();
            return Ok(());
        }
        let keys = store.keys().await?;
        let proposal = LinkKey::generate()
            .map_err(|_| StoreError::Unavailable("no random numbers for its first secret".to_owned()))?;
        let link_key = store.link_key(proposal).await?;
        self.ring.install(Loaded::new(generation, keys, link_key));
        Ok(())
    }

    async fn keep_audit(&self) {
        let mut flushes: u32 = 0;
        loop {
            tokio::select! {
                () = sleep(FLUSH_INTERVAL) => {}
                () = self.audit.urgent() => {}
            }
            // What cannot be written waits for the next time; that the ledger is down is told elsewhere.
            if let Err(error) = self.write_audit(self.audit.take_due()).await {
                tracing::debug!(%error, "entries of the audit wait to be written");
            } else if flushes.is_multiple_of(FLUSHES_PER_CLEANING) {
                self.clean().await;
            }
            flushes = flushes.wrapping_add(1);
        }
    }

    /// Writes everything that waits, before the end.
    ///
    /// # Cancel safety
    /// As [`write_audit`](Self::write_audit).
    pub(in crate::ledger) async fn write_rest(&self) -> Result<(), StoreError> {
        self.write_audit(self.audit.take_all()).await
    }

    /// Writes what was taken.
    ///
    /// # Cancel safety
    /// Dropped half-way, what was being written is in the audit as a whole or not at all, and waits again.
    async fn write_audit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let Some(store) = self.store.get() else {
            return Err(StoreError::being_opened());
        };
        let entries = batch.entries();
        let written = store.write_audit(entries).await;
        match &written {
            Ok(()) => batch.settle(),
            Err(error @ StoreError::Query(_)) => {
                tracing::error!(%error, "the ledger refuses entries of the audit: they are given up");
                metric::audit_lost().increment(batch.count());
                batch.settle();
            }
            // The batch goes back.
            Err(_) => {}
        }
        written
    }

    /// Deletes what is past its time, a little at once.
    async fn clean(&self) {
        let Some(store) = self.store.get() else {
            return;
        };
        let Ok(before) = now().checked_sub(self.keep) else {
            return;
        };
        loop {
            match store.delete_old_audit(before).await {
                Ok(deleted) if deleted == u64::from(DELETE_LIMIT) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old entries of the audit stay for another hour");
                    return;
                }
            }
        }
    }
}
