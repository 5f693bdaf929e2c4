//! The whole gateway: its actors, and the server before them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::join;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::actor::{AskError, HealthBoard, Placement, RestartPolicy, Spawn, State};
use crate::ari::{self, AriHandle, AriSettings, Originate, Originated};
use crate::cdr::collector::{self, CollectorHandle};
use crate::cdr::{
    self, CdrHandle, CdrPages, ClientId, GetLastCallId, GetRecording, SearchAfterCallId, digest,
};
use crate::http::{self, AppState, Doors, Failure, Gateway, Lifecycle, PairError, Tls};
use crate::ledger::key::{
    ApiKey, AuditEntry, AuditLog, CreateKey, CreatedKey, KeyRing, LinkKey, ListAudit, ListKeys, RevokeKey,
    RotateLinkKey,
};
use crate::ledger::{self, Flush, Journal, LedgerHandle, LedgerSettings};
use crate::pac::{self, InvalidPacAddress, PacHandle};
use crate::recordings::{self, OpenRecording, OpenedRecording, RecordingError, RecordingHandle, RecordingId};
use crate::service_manager;
use crate::settings::{RecordingPath, Settings, StoreSettings};
use crate::telemetry::{self, TelemetryError};

/// How long the actors may take to be built. None of them waits for its integration.
const BUILD_PATIENCE: Duration = Duration::from_secs(5);

/// How long the stores may take to write what is left.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A 3CX has an address that is none.
    #[error("pac.{0}: {1}")]
    PacAddress(String, InvalidPacAddress),
    /// The port is taken or not ours to take.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] PairError),
    /// Anybody could reach it, and nobody could be told apart.
    #[error(
        "http.address is {0}, which others reach, and nobody could use the gateway: make a key (mege-gateway keys create), \
         or name trusted clients (auth.trust), or listen on 127.0.0.1"
    )]
    NoKeys(IpAddr),
    /// Metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// The actors of the gateway's own stores.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The CDR store.
    pub cdr: CdrHandle,
    /// The keys, as the ledger last had them.
    pub keys: KeyRing,
    /// The refusals that wait for the ledger.
    pub audit: AuditLog,
    /// What waits for the ledger.
    journal: Journal,
}

impl Stores {
    /// Starts both.
    #[must_use]
    pub fn spawn(settings: &Settings, placement: Placement) -> Self {
        let ledger = ledger_settings(settings);
        let (journal, keys, audit) = (ledger.journal.clone(), ledger.keys.clone(), ledger.audit.clone());
        Self {
            ledger: ledger::spawn(ledger, placement),
            cdr: cdr_store(&settings.store, placement),
            keys,
            audit,
            journal,
        }
    }
}

impl Stores {
    /// Waits until the keys were read, or the ledger says that it cannot be used; for a while.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn keys_read(&self) {
        let read = async {
            self.ledger.health().said_something().await;
            if self.ledger.health().report().usable {
                self.keys.was_loaded().await;
            }
        };
        if timeout(BUILD_PATIENCE, read).await.is_err() || !self.keys.state().loaded {
            tracing::warn!("the keys cannot be read yet: requests are refused until they are");
        }
    }
}

/// What the ledger's actor is built from, with nothing in it yet.
#[must_use]
pub fn ledger_settings(settings: &Settings) -> LedgerSettings {
    LedgerSettings {
        store: settings.store.clone(),
        journal: Journal::default(),
        keys: KeyRing::default(),
        audit: AuditLog::default(),
        audit_keep_days: settings.audit.keep_days,
        host: host(settings),
    }
}

/// Starts the actor of the CDR store.
#[must_use]
pub fn cdr_store(settings: &StoreSettings, placement: Placement) -> CdrHandle {
    let spawn = Spawn {
        name: "cdr".to_owned(),
        limits: settings.limits,
        placement,
        restart: RestartPolicy::default(),
    };
    cdr::spawn_cdr(spawn, settings.clone())
}

/// This gateway among those on the same ledger.
fn host(settings: &Settings) -> String {
    format!(
        "{}:{}",
        gethostname::gethostname().to_string_lossy(),
        settings.http.port
    )
}

/// Every actor of the gateway.
#[derive(Debug, Clone)]
pub struct Integrations {
    /// The gateway's own stores.
    pub stores: Stores,
    /// Each Asterisk by its configured name.
    pub asterisk: BTreeMap<String, AriHandle>,
    /// Each 3CX by its configured name.
    pub pac: BTreeMap<String, PacHandle>,
    /// The collector of each 3CX.
    pub collectors: BTreeMap<String, CollectorHandle>,
    /// The recordings of each 3CX that has them in a directory.
    pub recordings: BTreeMap<String, RecordingHandle>,
    /// The Asterisk and the 3CX that the original's routes mean.
    default_asterisk: Option<String>,
    default_pac: Option<String>,
    /// Whether it is remembered which call ids clients were handed out.
    late_rows: bool,
}

impl Integrations {
    /// Starts an actor for each resource that the settings name.
    ///
    /// # Errors
    /// When a setting turns out to be unusable. An integration that cannot be reached is no error.
    pub fn spawn(settings: &Settings, placement: Placement) -> Result<Self, StartError> {
        let stores = Stores::spawn(settings, placement);
        let mut asterisk = BTreeMap::new();
        for (name, node) in &settings.asterisk {
            let node = AriSettings {
                name: format!("asterisk.{name}"),
                asterisk: node.clone(),
                ledger: stores.ledger.clone(),
                passing_instance: format!("p{}", &digest(&host(settings))[..8]),
                journal: stores.journal.clone(),
            };
            asterisk.insert(name.clone(), ari::spawn(node, placement));
        }
        let mut pacs = BTreeMap::new();
        let mut collectors = BTreeMap::new();
        let mut recordings = BTreeMap::new();
        for (name, pbx) in &settings.pac {
            let pac = pac::spawn(name, pbx.clone(), placement)
                .map_err(|error| StartError::PacAddress(name.clone(), error))?;
            let collector = collector::spawn(name, pbx.clone(), pac.clone(), stores.cdr.clone(), placement);
            collectors.insert(name.clone(), collector);
            if let Some(RecordingPath::Directory(directory)) = &pbx.recording_path {
                recordings.insert(
                    name.clone(),
                    recordings::spawn(name, directory.clone(), placement),
                );
            }
            pacs.insert(name.clone(), pac);
        }
        Ok(Self {
            stores,
            asterisk,
            pac: pacs,
            collectors,
            recordings,
            default_asterisk: settings.default_asterisk().map(|(name, _)| name.to_owned()),
            default_pac: settings.default_pac().map(|(name, _)| name.to_owned()),
            late_rows: settings.cdr.late_rows,
        })
    }

    /// Every actor's health.
    #[must_use]
    pub fn board(&self) -> HealthBoard {
        let board = HealthBoard::default();
        board.add(self.stores.ledger.health());
        board.add(self.stores.cdr.health());
        self.asterisk
            .values()
            .for_each(|handle| board.add(handle.health()));
        self.pac.values().for_each(|handle| board.add(handle.health()));
        self.collectors
            .values()
            .for_each(|handle| board.add(handle.health()));
        self.recordings
            .values()
            .for_each(|handle| board.add(handle.health()));
        board
    }

    /// Waits until every actor is built, for a while.
    async fn built(&self) {
        let all = self.board().all();
        let running = join_all(all.iter().map(|health| health.reached(State::Running)));
        if timeout(BUILD_PATIENCE, running).await.is_err() {
            tracing::warn!("not every actor is up; those that are answer");
        }
    }

    /// Stops everything: what asks before what is asked, each with time of its own, so that one that hangs costs the
    /// others nothing.
    async fn stop(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        join!(
            join_all(self.collectors.values().map(|handle| handle.stop(deadline))),
            join_all(self.asterisk.values().map(|handle| handle.stop(deadline))),
            join_all(self.pac.values().map(|handle| handle.stop(deadline))),
            join_all(self.recordings.values().map(|handle| handle.stop(deadline))),
        );
        let deadline = Instant::now() + STORE_PATIENCE;
        if let Err(error) = self.stores.ledger.control(Flush, deadline).await {
            tracing::warn!(%error, "what became of the latest calls is not in the ledger");
        }
        join!(self.stores.ledger.stop(deadline), self.stores.cdr.stop(deadline));
    }
}

#[async_trait(?Send)]
impl Gateway for Integrations {
    async fn originate(&self, request: Originate, deadline: Instant) -> Result<Originated, Failure> {
        let name = self.default_asterisk.as_ref();
        let Some(asterisk) = name.and_then(|name| self.asterisk.get(name)) else {
            return Err(Failure::not_configured("Asterisk").not_placed());
        };
        Ok(asterisk.ask(request, deadline).await?)
    }

    async fn last_call_id(&self, client: ClientId, deadline: Instant) -> Result<Option<Uuid>, Failure> {
        let Some(pbx) = self.default_pac.clone() else {
            return Err(Failure::not_configured("3CX"));
        };
        let client = self.late_rows.then_some(client);
        Ok(self
            .stores
            .cdr
            .ask(GetLastCallId { pbx, client }, deadline)
            .await?)
    }

    async fn cdrs_after(
        &self,
        call_id: String,
        client: ClientId,
        deadline: Instant,
    ) -> Result<CdrPages, Failure> {
        let Some(pbx) = self.default_pac.clone() else {
            return Err(Failure::not_configured("3CX"));
        };
        let search = SearchAfterCallId {
            pbx,
            call_id,
            client: self.late_rows.then_some(client),
        };
        Ok(self.stores.cdr.ask(search, deadline).await?)
    }

    async fn open_recording(&self, id: RecordingId, deadline: Instant) -> Result<OpenedRecording, Failure> {
        let RecordingId { pbx, id_recording } = id;
        let recordings = self
            .recordings
            .get(&pbx)
            .ok_or_else(Failure::recording_not_found)?;
        let stored = self
            .stores
            .cdr
            .ask(GetRecording { pbx, id_recording }, deadline)
            .await?;
        let stored = stored.ok_or_else(Failure::recording_not_found)?;
        let path = stored.recording_url.ok_or_else(Failure::recording_file_missing)?;
        match recordings.ask(OpenRecording { path }, deadline).await {
            Err(AskError::Reply(RecordingError::Missing)) if stored.archived => {
                Err(Failure::recording_archived())
            }
            opened => Ok(opened?),
        }
    }

    fn link_key(&self) -> Option<LinkKey> {
        self.stores.keys.link_key()
    }

    async fn create_key(&self, request: CreateKey, deadline: Instant) -> Result<CreatedKey, Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn list_keys(&self, deadline: Instant) -> Result<Vec<ApiKey>, Failure> {
        Ok(self.stores.ledger.ask(ListKeys, deadline).await?)
    }

    async fn revoke_key(&self, request: RevokeKey, deadline: Instant) -> Result<(), Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn rotate_link_key(&self, request: RotateLinkKey, deadline: Instant) -> Result<(), Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn list_audit(&self, request: ListAudit, deadline: Instant) -> Result<Vec<AuditEntry>, Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }
}

/// A gateway that listens.
#[derive(Debug)]
pub struct Application {
    port: u16,
    shutdown: Duration,
    listener: TcpListener,
    tls: Option<Tls>,
    settings: Settings,
    integrations: Integrations,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
}

impl Application {
    /// Takes the port and starts the actors. Nothing is answered before [`run_until`](Self::run_until).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(settings: Settings, placement: Placement) -> Result<Self, StartError> {
        let metrics = telemetry::metrics()?;
        let tls = Tls::load(&settings.http)?;
        let address = (settings.http.address, settings.http.port);
        let listen = |error| StartError::Listen {
            address: format!("{}:{}", address.0, address.1),
            error,
        };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let integrations = Integrations::spawn(&settings, placement)?;
        integrations.built().await;
        integrations.stores.keys_read().await;
        let keys = integrations.stores.keys.state();
        let closed = keys.loaded && keys.live == 0 && settings.auth.trust.is_empty();
        if closed && !settings.http.address.is_loopback() {
            integrations.stop(settings.http.shutdown_timeout()).await;
            return Err(StartError::NoKeys(settings.http.address));
        }
        Ok(Self {
            port,
            shutdown: settings.http.shutdown_timeout(),
            listener,
            tls,
            settings,
            integrations,
            lifecycle: Lifecycle::default(),
            metrics,
        })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its actors.
    #[must_use]
    pub fn integrations(&self) -> &Integrations {
        &self.integrations
    }

    /// Serves until `stop`, then lets open requests end and stops the actors.
    ///
    /// # Errors
    /// When the server cannot be started or dies.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            port,
            shutdown,
            listener,
            tls,
            mut settings,
            integrations,
            lifecycle,
            metrics,
        } = self;
        // The one that was taken, where any would do: links hold it.
        settings.http.port = port;
        let state = AppState::new(
            &settings,
            Arc::new(integrations.clone()),
            integrations.board(),
            vec![
                integrations.stores.cdr.health().clone(),
                integrations.stores.ledger.health().clone(),
            ],
            lifecycle.clone(),
            metrics,
            Doors::new(
                &settings,
                integrations.stores.keys.clone(),
                integrations.stores.audit.clone(),
            ),
        );
        let server = http::serve(&settings.http, tls, state, listener)?;
        let handle = server.handle();
        lifecycle.started();
        let mut served = actix_rt::spawn(server);
        service_manager::ready(port).await;
        let ended = tokio::select! {
            ended = &mut served => ended.unwrap_or_else(|error| Err(io::Error::other(error))),
            () = stop => {
                tracing::info!("stopping");
                lifecycle.draining();
                service_manager::stopping().await;
                handle.stop(true).await;
                Ok(())
            }
        };
        integrations.stop(shutdown).await;
        ended
    }
}
