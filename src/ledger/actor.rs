//! The actor that owns the ledger's store.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler};
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::key::{AuditLog, KeyRing, Maintenance};
use super::messages::{Flush, GetCall, GetInstance, ListOpenCalls};
use super::search::{SearchCalls, search};
use super::store::LedgerStore;
use crate::actor::{self, ActorHandle, Ask, AskError, Backoff, Class, Health, Placement, Reply, Spawn};
use crate::call::{Call, Journal, overlay};
use crate::database::StoreError;
use crate::metric;
use crate::settings::StoreSettings;

/// Calls written in one commit.
const BATCH_SIZE: usize = 500;

/// How long a state waits for others, to be written in one commit with them: the states of a call that comes and goes in it
/// are one row, and each commit writes every page that it touched.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// Between two tries of a store that does not work.
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// How long the ledger may lie idle before it is looked at.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Between two looks for an actor that is being built again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A handle to the ledger.
pub type LedgerHandle = ActorHandle<LedgerActor>;

/// The store, once it is open.
pub(super) type Store = Arc<LedgerStore>;

/// Owns the ledger: writes what the journal holds, answers what is asked.
#[derive(derive_more::Debug)]
#[debug("LedgerActor({settings:?})")]
pub struct LedgerActor {
    settings: LedgerSettings,
    /// Set once the store is open; opening is tried until then.
    store: Arc<OnceCell<Store>>,
    maintenance: Maintenance,
    health: Health,
}

/// What a [`LedgerActor`] is built from.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// The store.
    pub store: StoreSettings,
    /// What waits to be written.
    pub journal: Journal,
    /// The keys, for those who read them.
    pub keys: KeyRing,
    /// What waits to be written to the audit.
    pub audit: AuditLog,
    /// How long entries of the audit are kept, in days.
    pub audit_keep_days: u32,
    /// This gateway among those on the same store: its host and port.
    pub host: String,
    /// By which name it places calls while the store does not tell its own.
    pub provisional_instance: String,
}

/// What `/status` shows.
#[derive(Debug, Serialize)]
struct Detail {
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Starts the ledger under supervision.
pub fn spawn(settings: LedgerSettings, placement: Placement) -> LedgerHandle {
    let spawn = Spawn::new(
        "ledger".to_owned(),
        placement,
        vec![
            (Class::Read, settings.store.limits),
            (Class::Write, settings.store.limits),
        ],
    );
    actor::spawn(spawn, move |health| {
        let store = Arc::default();
        LedgerActor {
            maintenance: Maintenance::new(&settings, Arc::clone(&store)),
            settings: settings.clone(),
            store,
            health: health.clone(),
        }
    })
}

/// Waits until everything that was recorded is on disk, also where the actor has to be built again first.
///
/// # Errors
/// As [`ActorHandle::control`].
///
/// # Cancel safety
/// Safe: nothing but waiting.
pub async fn flush(ledger: &LedgerHandle, deadline: Instant) -> Result<(), AskError<StoreError>> {
    loop {
        match ledger.control(Flush, deadline).await {
            Err(AskError::Restarting { .. } | AskError::Interrupted) if Instant::now() < deadline => {
                sleep(POLL_INTERVAL).await;
            }
            ended => return ended,
        }
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
        ctx.spawn(self.maintenance.clone().run().into_actor(self).map(|(), _, _| ()));
    }
}

/// Opens the store, then writes the journal for ever.
async fn write_behind(settings: LedgerSettings, cell: Arc<OnceCell<Store>>, health: Health) {
    let mut failures = 0;
    loop {
        let done = work(&settings, &cell).await;
        report(&health, done.as_ref().err());
        if done.is_ok() {
            failures = 0;
        } else {
            sleep(RETRY.delay(failures)).await;
            failures = failures.saturating_add(1);
        }
    }
}

/// Opens the store; one that is open is given what waits, or is looked at where nothing comes for a while.
async fn work(settings: &LedgerSettings, cell: &OnceCell<Store>) -> Result<(), StoreError> {
    let Some(store) = cell.get() else {
        record_unwritten(&settings.journal);
        let open = async || LedgerStore::open(&settings.store).await.map(Arc::new);
        return cell.get_or_try_init(open).await.map(drop);
    };
    if timeout(PROBE_INTERVAL, settings.journal.unwritten())
        .await
        .is_err()
    {
        return store.ping().await;
    }
    sleep(BATCH_DELAY).await;
    write_once(&settings.journal, store).await
}

/// Writes a group of calls. One that the store refuses is set aside, so that it does not hold up the others for ever.
async fn write_once(journal: &Journal, store: &LedgerStore) -> Result<(), StoreError> {
    let calls = journal.take(BATCH_SIZE);
    let mut written = store.save(calls.clone()).await;
    if matches!(written, Err(StoreError::Query(_))) {
        written = write_each(&calls, store).await;
    }
    match written {
        Ok(()) => journal.written(&calls),
        Err(_) => journal.put_back(),
    }
    record_unwritten(journal);
    written
}

fn record_unwritten(journal: &Journal) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge, and never near 2^52")]
    metric::ledger_unwritten().set(journal.len() as f64);
}

async fn write_each(calls: &[Arc<Call>], store: &LedgerStore) -> Result<(), StoreError> {
    for call in calls {
        let id = call.id;
        match store.save(vec![Arc::clone(call)]).await {
            Err(error @ StoreError::Query(_)) => {
                tracing::error!(call = %id, %error, "the ledger refuses a call: its record is given up");
                metric::ledger_lost().increment(1);
            }
            written => written?,
        }
    }
    Ok(())
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
    pub(super) fn maintenance(&self) -> Maintenance {
        self.maintenance.clone()
    }

    pub(super) fn store(&self) -> Result<Store, StoreError> {
        self.store.get().cloned().ok_or_else(StoreError::being_opened)
    }
}

impl Handler<Ask<GetCall>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<GetCall>>;

    fn handle(&mut self, ask: Ask<GetCall>, _: &mut Self::Context) -> Self::Result {
        let (store, journal) = (self.store(), self.settings.journal.clone());
        ask.run(|GetCall(id), _| async move {
            match journal.get(id) {
                Some(call) => Ok(Some(Arc::unwrap_or_clone(call))),
                None => store?.call(id).await,
            }
        })
    }
}

impl Handler<Ask<ListOpenCalls>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<ListOpenCalls>>;

    fn handle(&mut self, ask: Ask<ListOpenCalls>, _: &mut Self::Context) -> Self::Result {
        let (store, settings) = (self.store(), self.settings.clone());
        ask.run(|ListOpenCalls { integration }, _| async move {
            // First: what is written meanwhile leaves the journal, and may come too late for what is read.
            let known = settings.journal.known(|call| call.integration == integration);
            let stored = store?
                .open_calls(&integration, &settings.host, &settings.provisional_instance)
                .await?;
            let newest = overlay(stored, known).into_values();
            Ok(newest.filter(|call| !call.closed).collect())
        })
    }
}

impl Handler<Ask<SearchCalls>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<SearchCalls>>;

    fn handle(&mut self, ask: Ask<SearchCalls>, _: &mut Self::Context) -> Self::Result {
        let (store, journal) = (self.store(), self.settings.journal.clone());
        ask.run(|request, _| async move { search(store?.as_ref(), &journal, request).await })
    }
}

impl Handler<Ask<GetInstance>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<GetInstance>>;

    fn handle(&mut self, ask: Ask<GetInstance>, _: &mut Self::Context) -> Self::Result {
        let (store, host) = (self.store(), self.settings.host.clone());
        ask.run(|GetInstance, _| async move { store?.instance(&host, propose_instance()).await })
    }
}

impl Handler<Ask<Flush>> for LedgerActor {
    type Result = actix::ResponseFuture<Reply<Flush>>;

    fn handle(&mut self, ask: Ask<Flush>, _: &mut Self::Context) -> Self::Result {
        let (journal, maintenance) = (self.settings.journal.clone(), self.maintenance());
        ask.run(|Flush, _| async move {
            // The one writer is at work; this only waits for it.
            journal.drained().await;
            maintenance.write_rest().await
        })
    }
}

/// Eight hexadecimal digits: short enough for a Stasis application's name, random enough for a few gateways.
fn propose_instance() -> String {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    format!("{:08x}", high >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::actor::{InjectedFault, State};
    use crate::call::tests::call;
    use crate::ledger::key::{CreateKey, Known, NewKey, Principal, RevokeKey};
    use crate::ledger::store::tests as store;

    fn settings(folder: &Path, journal: &Journal) -> LedgerSettings {
        LedgerSettings {
            store: store::settings(folder),
            journal: journal.clone(),
            keys: KeyRing::default(),
            audit: AuditLog::default(),
            audit_keep_days: 1,
            host: "test".to_owned(),
            provisional_instance: "p".to_owned(),
        }
    }

    #[actix_rt::test]
    async fn what_waits_is_written_also_by_a_ledger_that_just_failed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::default();
        let settings = settings(folder.path(), &journal);
        let ledger = spawn(settings, Placement::Current);
        ledger.health().became_usable().await;
        ledger.inject(InjectedFault::Panic);
        ledger.health().reached(State::BackingOff).await;
        journal.record(call().into());
        flush(&ledger, Instant::now() + Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!(journal.len(), 0);
    }

    #[actix_rt::test]
    async fn open_calls_are_those_of_either_name_that_are_not_over_as_they_are_now() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::default();
        let settings = settings(folder.path(), &journal);
        let ledger = spawn(settings.clone(), Placement::Current);
        ledger.health().became_usable().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        let named = |instance: &str| Call {
            instance: instance.to_owned(),
            ..call()
        };
        let own = ledger.ask(GetInstance, deadline).await.unwrap();
        let (ours, provisional) = (named(&own), named(&settings.provisional_instance));
        let (elsewhere, mut over) = (named("4567cdef"), named(&own));
        for call in [&ours, &provisional, &elsewhere, &over] {
            journal.record(call.clone().into());
        }
        flush(&ledger, deadline).await.unwrap();
        (over.closed, over.revision) = (true, 2);
        journal.record(over.into());
        let list = ListOpenCalls {
            integration: ours.integration.clone(),
        };
        assert_eq!(ledger.ask(list, deadline).await, Ok(vec![ours, provisional]));
    }

    #[actix_rt::test]
    async fn what_waits_is_shown_also_while_the_store_cannot_be_opened() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let shows = |gauge: &str| {
            let rendered = recorder.handle().render();
            rendered.lines().any(|line| line == gauge)
        };
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::default();
        let settings = settings(&folder.path().join("missing"), &journal);
        let ledger = spawn(settings, Placement::Current);
        let shown = async {
            while !shows("mege_ledger_unwritten 0") {
                sleep(POLL_INTERVAL).await;
            }
            journal.record(call().into());
            while !shows("mege_ledger_unwritten 1") {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(Duration::from_secs(60), shown).await.unwrap();
        assert!(!ledger.health().is_usable());
    }

    #[actix_rt::test]
    async fn a_key_that_is_revoked_elsewhere_is_refused_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let [here, elsewhere] = [(); 2].map(|()| settings(folder.path(), &Journal::default()));
        let keys = here.keys.clone();
        let _here = spawn(here, Placement::Current);
        let elsewhere = spawn(elsewhere, Placement::Current);
        elsewhere.health().became_usable().await;
        let by = || Principal {
            who: "test".to_owned(),
            key_id: None,
            origin: "test".to_owned(),
            request_id: None,
        };
        let key = NewKey::parse("crm", &["cdr:read".to_owned()], None, &BTreeSet::new()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let create = CreateKey { key, by: by() };
        let id = elsewhere.ask(create, deadline).await.unwrap().key.id;
        while !matches!(keys.named("crm"), Known::Live(_)) {
            sleep(POLL_INTERVAL).await;
        }

        // While somebody blocks, a paused clock stands still but for what it is advanced.
        let (_end, blocked) = std::sync::mpsc::channel::<()>();
        actix_rt::task::spawn_blocking(move || blocked.recv());
        tokio::time::pause();
        let revoke = RevokeKey { id, by: by() };
        elsewhere.ask(revoke, deadline).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..60_000 {
            if matches!(keys.named("crm"), Known::Revoked(_)) {
                return;
            }
            // For the threads of the store.
            std::thread::sleep(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
        panic!("it is let in still");
    }

    #[actix_rt::test]
    async fn a_call_that_the_store_refuses_holds_up_no_other() {
        let calls = [call(), call(), call()];
        let folder = tempfile::tempdir().unwrap();
        let store = LedgerStore::open(&store::settings(folder.path())).await.unwrap();
        let refuse = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON ledger_call WHEN new.id = '{}' \
             BEGIN SELECT RAISE(ABORT, 'for what it is'); END",
            calls[1].id
        );
        let file = rusqlite::Connection::open(folder.path().join("mege-ledger.sqlite")).unwrap();
        file.execute_batch(&refuse).unwrap();
        let journal = Journal::default();
        calls.iter().cloned().for_each(|call| journal.record(call.into()));
        assert_eq!(write_once(&journal, &store).await, Ok(()));
        for (call, saved) in calls.iter().zip([true, false, true]) {
            assert_eq!(store.call(call.id).await.unwrap().is_some(), saved);
        }
        assert_eq!(journal.len(), 0);
    }
}
