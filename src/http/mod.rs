//! The HTTP layer: parse, ask an actor, answer. It holds no connection to anything.

mod backend;
mod body;
mod connection;
mod error;
mod legacy_error;
mod legacy_row;
mod lifecycle;
mod observe;
mod request_id;
mod routes;
mod security_headers;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::Instant;

pub use backend::Gateway;
pub use error::{Failure, Outcome};
pub use lifecycle::{Lifecycle, Phase};
pub use server::serve;
pub use tls::{PairError, Tls};

use crate::actor::{Health, HealthBoard};
use crate::settings::Settings;

/// What the routes work with.
#[derive(Debug)]
pub struct AppState {
    gateway: Arc<dyn Gateway>,
    board: HealthBoard,
    /// The actors without which the gateway itself is not ready: those of its own stores.
    stores: Vec<Health>,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
    timeout: Duration,
    extension_length: Option<usize>,
    recordings: Option<String>,
}

impl AppState {
    /// The state for these settings and actors; `stores` are those that readiness depends on.
    #[must_use]
    pub fn new(
        settings: &Settings,
        gateway: Arc<dyn Gateway>,
        board: HealthBoard,
        stores: Vec<Health>,
        lifecycle: Lifecycle,
        metrics: PrometheusHandle,
    ) -> Self {
        let pac = settings.default_pac().map(|(_, pac)| pac);
        Self {
            gateway,
            board,
            stores,
            lifecycle,
            metrics,
            timeout: settings.http.timeout(),
            extension_length: pac.and_then(|pac| pac.extension_length),
            recordings: pac.and_then(|pac| pac.recording_path.clone()),
        }
    }

    /// When a request that begins now must have its answer.
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// Adds all routes; `base` is what the API's paths begin with, empty or `/…`.
fn configure(base: &str, config: &mut web::ServiceConfig) {
    let only = |path: &str, route| {
        web::resource(path)
            .route(route)
            .default_service(web::to(not_found))
    };
    config
        .route("/livez", web::get().to(routes::health::livez))
        .route("/readyz", web::get().to(routes::health::readyz))
        .route("/status", web::get().to(routes::health::status))
        .route("/metrics", web::get().to(routes::health::metrics))
        .service(
            web::scope(&format!("{base}/pbx-api"))
                .service(only("/last-call-id", web::get().to(routes::last_call_id::get)))
                .service(only("/cdr", web::post().to(routes::cdr::post)))
                .service(only("/make-call", web::post().to(routes::make_call::post))),
        )
        .default_service(web::to(not_found));
}

async fn not_found(request: HttpRequest) -> actix_web::HttpResponse {
    legacy_error::not_found(&request)
}
