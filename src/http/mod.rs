//! The HTTP layer: parse, ask an actor, answer. It holds no connection to anything.

mod access;
mod backend;
mod body;
mod code;
mod connection;
mod document;
mod error;
mod fallback;
mod legacy_error;
mod legacy_row;
mod lifecycle;
mod observe;
mod problem;
mod recording_links;
mod request_id;
mod routes;
mod security_headers;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::Instant;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

pub use access::Doors;
pub use backend::Gateway;
pub use code::Code;
pub use error::{Failure, Outcome};
pub use lifecycle::{Lifecycle, Phase};
pub use server::serve;
pub use tls::{PairError, Tls};

use document::Documents;
use recording_links::RecordingLinks;

use crate::actor::{ActorRegistry, Health};
use crate::ledger::key::Scope;
use crate::settings::Settings;

/// What the routes work with.
#[derive(Debug)]
pub struct AppState {
    gateway: Arc<dyn Gateway>,
    actors: ActorRegistry,
    /// The actors without which the gateway itself is not ready: those of its own stores.
    stores: Vec<Health>,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
    timeout: Duration,
    extension_length: Option<usize>,
    recordings: Arc<RecordingLinks>,
    /// What the paths of the gateway's own API begin with.
    own_api: String,
    documents: Documents,
    doors: Doors,
    /// The names of all PBXs.
    pbxs: BTreeSet<String>,
    /// The PBXs that the original's routes mean: for calls, and for CDRs.
    default_asterisk: Option<String>,
    default_pac: Option<String>,
}

impl AppState {
    /// The state for these settings and actors; `stores` are those that readiness depends on.
    #[must_use]
    pub fn new(
        settings: &Settings,
        gateway: Arc<dyn Gateway>,
        actors: ActorRegistry,
        stores: Vec<Health>,
        lifecycle: Lifecycle,
        metrics: PrometheusHandle,
        doors: Doors,
    ) -> Self {
        let pac = settings.default_pac().map(|(_, pac)| pac);
        Self {
            gateway,
            actors,
            stores,
            lifecycle,
            metrics,
            timeout: settings.http.timeout(),
            extension_length: pac.and_then(|pac| pac.extension_length),
            recordings: Arc::new(RecordingLinks::of(settings)),
            own_api: format!("{}/v1/", settings.http.base_path()),
            documents: Documents::new(&settings.http.base_path()),
            doors,
            pbxs: settings.pbx_names(),
            default_asterisk: settings.default_asterisk().map(|(name, _)| name.to_owned()),
            default_pac: settings.default_pac().map(|(name, _)| name.to_owned()),
        }
    }

    /// The PBX that the original's route for such a scope means.
    fn default_pbx(&self, scope: Scope) -> Option<&str> {
        match scope {
            Scope::CallsWrite => self.default_asterisk.as_deref(),
            Scope::CdrRead => self.default_pac.as_deref(),
            Scope::RecordingsRead | Scope::StatusRead | Scope::Admin => None,
        }
    }

    /// Whether the errors of a request are problem documents: those of the gateway's own API are. The path counts as the
    /// router reads it.
    fn has_problems(&self, request: &HttpRequest) -> bool {
        request.match_info().as_str().starts_with(&self.own_api)
    }

    /// When a request that begins now must have its answer.
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// The OpenAPI document of all routes, as indented JSON; `base` is what the API's paths begin with, empty or `/…`.
#[must_use]
pub fn openapi(base: &str) -> String {
    format!("{:#}", serde_json::json!(document::describe(base)))
}

/// Adds all routes; `base` is what the API's paths begin with, empty or `/…`.
fn configure(base: &str, config: &mut ServiceConfig<'_>) {
    config
        .service(routes::health::livez)
        .service(routes::health::readyz)
        .service(routes::health::status)
        .service(routes::health::metrics)
        .service(routes::documents::openapi)
        .service(routes::documents::reference)
        .service(routes::documents::error_codes)
        .service(routes::documents::asset)
        .service(routes::documents::original)
        .service(routes::documents::original_document)
        // The last: without a base it would keep every path from those after it.
        .service(
            scope(base)
                .service(routes::last_call_id::last_call_id)
                .service(routes::cdr::cdr)
                .service(routes::make_call::make_call)
                .service(routes::calls::hang_up)
                .service(routes::media::media)
                .service(routes::media::media_head)
                .service(routes::keys::list_keys)
                .service(routes::keys::create_key)
                .service(routes::keys::revoke_key)
                .service(routes::keys::rotate_links)
                .service(routes::audit::audit)
                .service(routes::integrations::list_integrations)
                .service(routes::integrations::integration)
                .service(routes::integrations::restart_integration)
                .service(routes::integrations::pause_integration)
                .service(routes::integrations::resume_integration),
        )
        .default_service(web::to(fallback::respond));
}
