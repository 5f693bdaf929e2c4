//! `/livez`, `/readyz`, `/status` and `/metrics`. None of them asks an actor: one may be what hangs.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::actor::{BreakerState, Health, HealthReport, Load, Operate};
use crate::http::AppState;
use crate::http::lifecycle::Phase;
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
pub(in crate::http) async fn livez() -> HttpResponse {
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
pub(in crate::http) async fn readyz(state: web::Data<AppState>) -> HttpResponse {
    let reason = match state.lifecycle.phase() {
        Phase::Starting => Some("starting"),
        Phase::Draining | Phase::Stopping => Some("draining"),
        Phase::Started => (!state.stores.iter().all(Health::is_usable)).then_some("store"),
    };
    match reason {
        None => HttpResponse::Ok().json(json!({"status": "ready"})),
        Some(reason) => {
            HttpResponse::ServiceUnavailable().json(json!({"status": "not_ready", "reason": reason}))
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Status {
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
#[derive(Serialize, ToSchema)]
pub(super) struct ActorStatus {
    #[serde(flatten)]
    report: HealthReport,
    /// What each class of its operations has to do.
    operations: Vec<Load>,
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

/// Every actor as it is: state, connection, limits, in flight, restarts, last error.
#[utoipa::path(
    tag = "health",
    security(("key" = ["status:read"])),
    responses((status = 200, description = "How each is.", body = Status)),
)]
#[get("/status")]
pub(in crate::http) async fn status(state: web::Data<AppState>) -> HttpResponse {
    let actors: BTreeMap<String, ActorStatus> = state
        .actors
        .all()
        .map(|actor| {
            let name = actor.health().name().to_owned();
            (name, ActorStatus::of(actor.as_ref()))
        })
        .collect();
    let all_well = actors.values().all(ActorStatus::is_well);
    HttpResponse::Ok().json(Status {
        status: if all_well { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        phase: state.lifecycle.phase(),
        keys: state.doors.keys(),
        actors,
    })
}

/// The metrics as Prometheus reads them.
#[utoipa::path(
    tag = "health",
    security(("key" = ["status:read"])),
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
#[get("/metrics")]
pub(in crate::http) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    state.actors.record_gauges();
    metric::drain_seconds().set(state.lifecycle.drained_for());
    telemetry::record_process();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}
