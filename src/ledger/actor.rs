//! The actor that owns the ledger's store.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use serde::Serialize;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::journal::{Journal, overlay};
use super::messages::{Flush, GetCall, GetInstance, ListOpenCalls};
use super::store::{self, LedgerStore};
use crate::actor::{self, ActorHandle, Ask, Backoff, Health, Placement, Reply, RestartPolicy, Spawn};
use crate::database::StoreError;
use crate::metric;
use crate::settings::StoreSettings;

/// Calls written in one commit.
const GROUP: usize = 500;

/// How long news wait for company before they are written.
const GATHER: Duration = Duration::from_millis(5);

/// Between two tries of a store that does not work.
const RETRY: Backoff = Backoff::constant(Duration::from_millis(50), Duration::from_secs(5));

/// A handle to the ledger.
pub type LedgerHandle = ActorHandle<LedgerActor>;

type Store = Arc<dyn LedgerStore>;

/// Owns the ledger: writes what the journal holds, answers what is asked.
pub struct LedgerActor {
    settings: LedgerSettings,
    /// Set once the store is open; opening is tried until then.
    store: Arc<OnceCell<Store>>,
    health: Health,
}

/// What a [`LedgerActor`] is built from.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// The store.
    pub store: StoreSettings,
    /// What waits to be written.
    pub journal: Journal,
    /// This gateway among those on the same store: its host and port.
    pub host: String,
}

/// What `/status` shows.
#[derive(Debug, Serialize)]
struct Detail {
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Starts the ledger under supervision.
#[must_use]
pub fn spawn(settings: LedgerSettings, placement: Placement) -> LedgerHandle {
    let spawn = Spawn {
        name: "ledger".to_owned(),
        limits: settings.store.limits,
        placement,
        restart: RestartPolicy::default(),
    };
    actor::spawn(spawn, move |health| LedgerActor {
        settings: settings.clone(),
        store: Arc::default(),
        health: health.clone(),
    })
}

impl std::fmt::Debug for LedgerActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerActor")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Actor for LedgerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (settings, store, health) = (
            self.settings.clone(),
            Arc::clone(&self.store),
            self.health.clone(),
        );
        // Within the context: a panic in it ends the actor, and the supervisor starts both anew.
        ctx.spawn(
            write_behind(settings, store, health)
                .into_actor(self)
                .map(|(), _, _| ()),
        );
    }
}

/// Opens the store, then writes the journal for ever.
async fn write_behind(settings: LedgerSettings, cell: Arc<OnceCell<Store>>, health: Health) {
    let mut attempt = 0;
    let store = loop {
        match cell.get_or_try_init(|| store::open(&settings.store)).await {
            Ok(store) => break Arc::clone(store),
            Err(error) => {
                report(&health, Some(&error));
                tokio::time::sleep(RETRY.delay(attempt)).await;
                attempt += 1;
            }
        }
    };
    report(&health, None);
    let mut attempt = 0;
    loop {
        settings.journal.news().await;
        tokio::time::sleep(GATHER).await;
        match write_once(&settings.journal, store.as_ref()).await {
            Ok(()) => {
                if attempt > 0 {
                    report(&health, None);
                }
                attempt = 0;
            }
            Err(error) => {
                report(&health, Some(&error));
                tokio::time::sleep(RETRY.delay(attempt)).await;
                attempt += 1;
            }
        }
    }
}

async fn write_once(journal: &Journal, store: &dyn LedgerStore) -> Result<(), StoreError> {
    let calls = journal.take(GROUP);
    let written = store.save(calls).await;
    match written {
        Ok(()) => journal.written(),
        Err(_) => journal.put_back(),
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge, and never near 2^52")]
    metrics::gauge!(metric::LEDGER_UNWRITTEN).set(journal.len() as f64);
    written
}

fn report(health: &Health, error: Option<&StoreError>) {
    if let Some(error) = error {
        tracing::warn!(%error, "ledger not usable");
    }
    let store = if error.is_none() { "up" } else { "down" };
    health.publish(
        error.is_none(),
        &Detail {
            store,
            error: error.map(ToString::to_string),
        },
    );
}

impl LedgerActor {
    fn store(&self) -> Result<Store, StoreError> {
        self.store
            .get()
            .cloned()
            .ok_or_else(|| StoreError::Unavailable("not open yet".to_owned()))
    }
}

impl Handler<Ask<GetCall>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<GetCall>>;

    fn handle(&mut self, ask: Ask<GetCall>, _: &mut Self::Context) -> Self::Result {
        let (store, journal) = (self.store(), self.settings.journal.clone());
        ask.run(|GetCall(id), _| async move {
            match journal.get(id) {
                Some(call) => Ok(Some(call)),
                None => store?.call(id).await,
            }
        })
    }
}

impl Handler<Ask<ListOpenCalls>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<ListOpenCalls>>;

    fn handle(&mut self, ask: Ask<ListOpenCalls>, _: &mut Self::Context) -> Self::Result {
        let (store, journal) = (self.store(), self.settings.journal.clone());
        ask.run(|ListOpenCalls { integration }, _| async move {
            // First: what is written meanwhile leaves the journal, and may come too late for what is read.
            let known = journal.of_integration(&integration);
            let stored = store?.open_calls(&integration).await?;
            Ok(overlay(stored, known))
        })
    }
}

impl Handler<Ask<GetInstance>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<GetInstance>>;

    fn handle(&mut self, ask: Ask<GetInstance>, _: &mut Self::Context) -> Self::Result {
        let (store, host) = (self.store(), self.settings.host.clone());
        ask.run(|GetInstance, _| async move { store?.instance(&host, &propose_instance()).await })
    }
}

impl Handler<Ask<Flush>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<Flush>>;

    fn handle(&mut self, ask: Ask<Flush>, _: &mut Self::Context) -> Self::Result {
        let journal = self.settings.journal.clone();
        ask.run(|Flush, _| async move {
            // The one writer is at work; this only waits for it.
            journal.drained().await;
            Ok(())
        })
    }
}

/// Eight hexadecimal digits: short enough for a Stasis application's name, random enough for a few gateways.
pub fn propose_instance() -> String {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    format!("{:08x}", high >> 32)
}
