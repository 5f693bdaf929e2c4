//! `/v1/integrations`: how every actor does, and what operators do to one.

use std::task::Poll;

use actix_web::{get, post, web};
use futures_util::poll;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::health::ActorStatus;
use crate::actor::{NotRestarted, Operate, Restarted};
use crate::http::access::Caller;
use crate::http::document::error_responses;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;
use crate::ledger::key::{AuditAction, Principal};

error_responses! {
    /// Why an integration is not restarted.
    RestartErrors [RestartUnderWay];
}

/// An integration as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Integration {
    /// Its name: `asterisk.NAME`, `pac.NAME`, `collector.NAME` or `recordings.NAME`, as the settings call the PBX, or
    /// `cdr` and `ledger`, the gateway's own stores.
    #[schema(example = "asterisk.main")]
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) status: ActorStatus,
}

impl Integration {
    fn of(actor: &dyn Operate) -> Self {
        Self {
            name: actor.health().name().to_owned(),
            status: ActorStatus::of(actor),
        }
    }
}

/// Every integration.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct IntegrationList {
    /// Those that the caller may see, by name.
    pub(crate) integrations: Vec<Integration>,
}

/// Every integration: state, load, circuit breakers, restarts, last error.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    responses((status = 200, description = "The integrations that the caller may see.", body = IntegrationList)),
)]
#[get("/v1/integrations")]
pub(super) async fn list_integrations(
    state: web::Data<AppState>,
    caller: Caller,
) -> web::Json<IntegrationList> {
    let integrations = state.actors(&caller).map(|actor| Integration::of(actor.as_ref()));
    web::Json(IntegrationList {
        integrations: integrations.collect(),
    })
}

/// One integration as it is.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration.", body = Integration)),
)]
#[get("/v1/integrations/{name}")]
pub(super) async fn integration(
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<web::Json<Integration>, ApiError> {
    let actor = state.actor(&caller, &name)?;
    Ok(web::Json(Integration::of(actor.as_ref())))
}

/// Restarts an integration, also one that has failed or whose thread hangs: work in flight gets 5 s to end, what is left
/// is interrupted, and so are long answers of CDRs, requests that come meanwhile get 503 `restarting`, and other integrations notice nothing. The answer
/// comes once the new one runs.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "It was restarted.", body = Restarted), RestartErrors),
)]
#[post("/v1/integrations/{name}/restart")]
pub(super) async fn restart_integration(
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<web::Json<Restarted>, ApiError> {
    let actor = state.actor(&caller, &name)?;
    let refused = |error: NotRestarted| ErrorCode::RestartUnderWay.error(error.to_string());
    // The first poll has it begun or refused. Begun, it is noted before anything else happens: the client may go, or the
    // process die, before it is over.
    let mut restart = actor.restart();
    let begun = poll!(&mut restart);
    if let Poll::Ready(Err(error)) = begun {
        return Err(refused(error));
    }
    state.record_act(AuditAction::IntegrationRestarted, &name, by);
    let restarted = match begun {
        Poll::Ready(restarted) => restarted,
        // Each of its steps has a limit of its own, some 8 s together.
        Poll::Pending => restart.await,
    };
    restarted.map(web::Json).map_err(refused)
}

/// Has an integration refuse all work but hang-ups with 503 `paused`, until it is resumed or the gateway restarted; what is in flight
/// ends as it would. A collector begins no poll. Pausing what is paused is as good.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration, paused.", body = Integration)),
)]
#[post("/v1/integrations/{name}/pause")]
pub(super) async fn pause_integration(
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<web::Json<Integration>, ApiError> {
    let actor = state.actor(&caller, &name)?;
    if actor.pause() {
        state.record_act(AuditAction::IntegrationPaused, &name, by);
    }
    Ok(web::Json(Integration::of(actor.as_ref())))
}

/// Lets work in again. Resuming what is not paused is as good.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration, resumed.", body = Integration)),
)]
#[post("/v1/integrations/{name}/resume")]
pub(super) async fn resume_integration(
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<web::Json<Integration>, ApiError> {
    let actor = state.actor(&caller, &name)?;
    if actor.resume() {
        state.record_act(AuditAction::IntegrationResumed, &name, by);
    }
    Ok(web::Json(Integration::of(actor.as_ref())))
}
