//! What the routes work with: the actors, each behind who may see it, and what the settings say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::Instant;

use super::access::{Caller, Pbx};
use super::body::UnfinishedBodies;
use super::document::Documents;
use super::error::ApiError;
use super::lifecycle::Lifecycle;
use super::recording_links::RecordingLinks;
use crate::actor::{ActorRegistry, ClientId, Operate};
use crate::ari::Trunk;
use crate::call::{Call, CallId};
use crate::cdr::CdrHandle;
use crate::integrations::Integrations;
use crate::ledger::LedgerHandle;
use crate::ledger::key::{AuditAction, KeyRing, Principal};
use crate::recordings::RecordingHandle;
use crate::settings::Settings;

/// What the routes work with.
#[derive(Debug)]
pub(super) struct AppState {
    settings: Settings,
    integrations: Integrations,
    actors: ActorRegistry,
    pub(super) lifecycle: Lifecycle,
    pub(super) metrics: PrometheusHandle,
    pub(super) documents: Documents,
    pub(super) unfinished_bodies: Arc<UnfinishedBodies>,
    pub(super) recording_links: Arc<RecordingLinks>,
}

impl AppState {
    /// The state for these settings and actors.
    pub(super) fn new(
        settings: &Settings,
        integrations: Integrations,
        lifecycle: Lifecycle,
        metrics: PrometheusHandle,
        documents: Documents,
    ) -> Self {
        Self {
            actors: integrations.actors(),
            integrations,
            lifecycle,
            metrics,
            documents,
            unfinished_bodies: Arc::default(),
            recording_links: Arc::new(RecordingLinks::of(settings)),
            settings: settings.clone(),
        }
    }

    /// How long a request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.http.timeout()
    }

    /// How many digits the extensions of the original's routes have, where that is known.
    pub(super) fn extension_length(&self) -> Option<usize> {
        self.settings.default_pac()?.1.extension_length
    }

    /// The names of the PBXs that a caller may see.
    pub(super) fn pbxs(&self, caller: &Caller) -> BTreeSet<String> {
        let mut names = self.settings.pbx_names();
        names.retain(|name| caller.pbx_if_visible(name).is_some());
        names
    }

    /// When a request that begins now must have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout()
    }

    /// The trunk through which the original's routes place calls.
    pub(super) fn default_trunk(&self, caller: &Caller) -> Result<&Trunk, ApiError> {
        let name = self.settings.default_asterisk().map(|(name, _)| name);
        let pbx = name.map(|name| caller.pbx(name, "route")).transpose()?;
        pbx.and_then(|pbx| self.trunk(pbx))
            .ok_or_else(|| ApiError::not_configured("Asterisk"))
    }

    /// The 3CX whose CDRs the original's routes serve.
    pub(super) fn default_pac(&self, caller: &Caller) -> Result<Pbx<'_>, ApiError> {
        let pac = self.settings.default_pac();
        let (name, _) = pac.ok_or_else(|| ApiError::not_configured("3CX"))?;
        caller.pbx(name, "route")
    }

    /// For whom it is remembered which call ids were handed out; nobody where the settings say so.
    pub(super) fn polling_client(&self, caller: &Caller) -> Option<ClientId> {
        self.settings.cdr.late_rows.then(|| caller.client().clone())
    }

    /// The trunk of an Asterisk.
    pub(super) fn trunk(&self, pbx: Pbx<'_>) -> Option<&Trunk> {
        self.integrations.trunks.get(pbx.name())
    }

    /// The trunks of every Asterisk that a caller may see.
    pub(super) fn trunks<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = (Pbx<'a>, &'a Trunk)> {
        let trunks = self.integrations.trunks.iter();
        trunks.filter_map(|(name, trunk)| Some((caller.pbx_if_visible(name)?, trunk)))
    }

    /// A call that lives here, as it is known now.
    pub(super) fn live_call(&self, id: CallId) -> Option<Arc<Call>> {
        self.integrations.stores.registry.get(id)
    }

    /// The recordings of a 3CX, where they are in a directory.
    pub(super) fn recordings(&self, pbx: Pbx<'_>) -> Option<&RecordingHandle> {
        self.integrations.recordings.get(pbx.name())
    }

    /// The CDR store.
    pub(super) fn cdr(&self) -> &CdrHandle {
        &self.integrations.stores.cdr
    }

    /// The ledger.
    pub(super) fn ledger(&self) -> &LedgerHandle {
        &self.integrations.stores.ledger
    }

    /// The keys, as the ledger last had them.
    pub(super) fn keys(&self) -> &KeyRing {
        &self.integrations.stores.keys
    }

    /// Takes note of what an operator did to an integration, for the audit. Never waits.
    pub(super) fn record_act(&self, action: AuditAction, integration: &str, by: Principal) {
        self.integrations.stores.audit.record_act(action, integration, by);
    }

    /// Whether the gateway's own stores can be used.
    pub(super) fn stores_usable(&self) -> bool {
        self.cdr().health().is_usable() && self.ledger().health().is_usable()
    }

    /// The actors that a caller may see, by name.
    pub(super) fn actors<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Arc<dyn Operate>> {
        let actors = self.actors.all();
        actors.filter(|actor| caller.may_see_integration(actor.health().name()))
    }

    /// The actor of that name.
    pub(super) fn actor(&self, caller: &Caller, name: &str) -> Result<&Arc<dyn Operate>, ApiError> {
        let unknown = || ApiError::not_found("integration");
        let actor = self.actors.find(name).ok_or_else(unknown)?;
        if caller.may_see_integration(name) {
            Ok(actor)
        } else {
            Err(unknown().refused())
        }
    }

    /// Brings the gauges of all actors up to date.
    pub(super) fn record_gauges(&self) {
        self.actors.record_gauges();
    }
}
