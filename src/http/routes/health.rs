//! `/livez`, `/readyz`, `/status` and `/metrics`. None of them asks an actor: one may be what hangs.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::actor::{BreakerState, HealthReport, Load, Operate};
use crate::http::access::Caller;
use crate::http::document::LimitedError;
use crate::http::error::ApiError;
use crate::http::lifecycle::Phase;
use crate::http::state::AppState;
use crate::ledger::key::RingState;
use crate::metric;
use crate::telemetry;

/// The process runs and its HTTP server answers. Never touches a PBX.
#[utoipa::path(
    tag = "health",
    security(()),
    responses((status = 200, description = "It lives.", body = serde_json::Value, example = json!({"status": "alive"}))),
)]
#[get("/livez")]
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Whether to send requests here: about the gateway itself, never about a PBX.
#[utoipa::path(
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It is ready.", body = serde_json::Value, example = json!({"status": "ready"})),
        (
            status = 503,
            description = "Not yet, or no more: `reason` is `starting`, `draining` or `store`.",
            body = serde_json::Value,
            example = json!({"status": "not_ready", "reason": "store"}),
        ),
    ),
)]
#[get("/readyz")]
pub(super) async fn readyz(state: web::Data<AppState>) -> HttpResponse {
    let reason = match state.lifecycle.phase() {
        Phase::Starting => Some("starting"),
        Phase::Draining | Phase::Stopping => Some("draining"),
        Phase::Started => (!state.stores_usable()).then_some("store"),
    };
    match reason {
        None => HttpResponse::Ok().json(json!({"status": "ready"})),
        Some(reason) => {
            HttpResponse::ServiceUnavailable().json(json!({"status": "not_ready", "reason": reason}))
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// `ok` where every actor can do its work and no circuit breaker is open, `degraded` otherwise.
    #[schema(example = "ok")]
    status: &'static str,
    /// The gateway's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    phase: Phase,
    keys: RingState,
    /// Each actor by its name, such as `asterisk.main`.
    actors: BTreeMap<String, ActorStatus>,
}

/// An actor as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ActorStatus {
    #[serde(flatten)]
    pub(crate) report: HealthReport,
    /// What each class of its operations has to do.
    pub(crate) operations: Vec<Load>,
}

impl ActorStatus {
    pub(super) fn of(actor: &dyn Operate) -> Self {
        Self {
            report: actor.health().report(),
            operations: actor.load(),
        }
    }

    /// Whether it can do all of its work.
    fn is_well(&self) -> bool {
        let open = |load: &Load| load.breaker == BreakerState::Open;
        self.report.is_usable() && !self.operations.iter().any(open)
    }
}

/// Every actor that the caller may see, as it is: state, connection, limits, in flight, restarts, last error.
#[utoipa::path(
    tag = "health",
    security(("key" = ["status:read"])),
    responses((status = 200, description = "How each is.", body = Status)),
)]
#[get("/status")]
pub(super) async fn status(state: web::Data<AppState>, caller: Caller) -> web::Json<Status> {
    let actors: BTreeMap<String, ActorStatus> = state
        .actors(&caller)
        .map(|actor| {
            let name = actor.health().name().to_owned();
            (name, ActorStatus::of(actor.as_ref()))
        })
        .collect();
    let mut keys = state.keys().state();
    keys.live = keys.live.filter(|_| caller.sees_all());
    let all_well = actors.values().all(ActorStatus::is_well);
    web::Json(Status {
        status: if all_well { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        phase: state.lifecycle.phase(),
        keys,
        actors,
    })
}

/// The metrics as Prometheus reads them; for a key that sees every PBX.
#[utoipa::path(
    tag = "health",
    security(("key" = ["status:read"])),
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain"),
        LimitedError,
    ),
)]
#[get("/metrics")]
pub(super) async fn metrics(state: web::Data<AppState>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.must_see_all()?;
    state.record_gauges();
    metric::drain_seconds().set(state.lifecycle.drained_for());
    telemetry::record_process();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render()))
}
