//! `/livez`, `/readyz`, `/status` and `/metrics`. None of them asks an actor: one may be what hangs.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use crate::actor::{Health, HealthReport, Load, State};
use crate::http::AppState;
use crate::http::lifecycle::Phase;

/// The process runs and its HTTP server answers.
pub(in crate::http) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Whether to send requests here: about the gateway itself, never about a PBX.
pub(in crate::http) async fn readyz(state: web::Data<AppState>) -> HttpResponse {
    let reason = match state.lifecycle.phase() {
        Phase::Starting => Some("starting"),
        Phase::Draining => Some("draining"),
        Phase::Started => (!state.stores.iter().all(is_usable)).then_some("store"),
    };
    match reason {
        None => HttpResponse::Ok().json(json!({"status": "ready"})),
        Some(reason) => {
            HttpResponse::ServiceUnavailable().json(json!({"status": "not_ready", "reason": reason}))
        }
    }
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    version: &'static str,
    phase: Phase,
    actors: BTreeMap<String, ActorStatus>,
}

#[derive(Serialize)]
struct ActorStatus {
    #[serde(flatten)]
    report: HealthReport,
    #[serde(flatten)]
    load: Option<Load>,
}

/// Every actor as it is.
pub(in crate::http) async fn status(state: web::Data<AppState>) -> HttpResponse {
    let actors = state.board.all();
    let all_well = actors.iter().all(is_usable);
    HttpResponse::Ok().json(Status {
        status: if all_well { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        phase: state.lifecycle.phase(),
        actors: actors
            .iter()
            .map(|health| {
                let (report, load) = (health.report(), health.load());
                (health.name().to_owned(), ActorStatus { report, load })
            })
            .collect(),
    })
}

/// The metrics as Prometheus reads them.
pub(in crate::http) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}

fn is_usable(health: &Health) -> bool {
    let report = health.report();
    report.state == State::Running && report.usable
}
