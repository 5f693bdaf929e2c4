//! `/v1/integrations`: how every actor does, and what operators do to one.

use std::sync::Arc;
use std::task::Poll;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use futures_util::poll;
use serde::Serialize;
use utoipa::ToSchema;

use super::health::ActorStatus;
use crate::actor::{NotRestarted, Operate, Restarted};
use crate::http::AppState;
use crate::http::access::Caller;
use crate::http::code::Code;
use crate::http::document::error_responses;
use crate::http::error::Failure;
use crate::ledger::key::AuditAction;

error_responses! {
    /// There is no such integration, or none that the caller may see.
    UnknownErrors, problem_responses, [NotFound]
}

error_responses! {
    /// Why an integration is not restarted.
    RestartErrors, problem_responses, [NotFound, RestartUnderWay]
}

/// An integration as it is.
#[derive(Serialize, ToSchema)]
struct Integration {
    /// Its name: `asterisk.NAME`, `pac.NAME`, `collector.NAME` or `recordings.NAME`, as the settings call the PBX, or
    /// `cdr` and `ledger`, the gateway's own stores.
    #[schema(example = "asterisk.main")]
    name: String,
    #[serde(flatten)]
    status: ActorStatus,
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
#[derive(Serialize, ToSchema)]
struct IntegrationList {
    /// Those that the caller may see, by name.
    integrations: Vec<Integration>,
}

/// Whether a caller may see an actor: what belongs to a PBX is for those who may see that one, and what belongs to the
/// gateway as a whole for those who see all.
fn is_visible(caller: &Caller, name: &str) -> bool {
    match name.split_once('.') {
        Some((_, pbx)) => caller.may_see(pbx),
        None => caller.sees_all(),
    }
}

fn find(
    state: &AppState,
    request: &HttpRequest,
    caller: &Caller,
    name: &str,
) -> Result<Arc<dyn Operate>, Failure> {
    let found = state.actors.find(name);
    if found.is_some() && !is_visible(caller, name) {
        state.doors.note(request, Code::NotFound);
    }
    let visible = found.filter(|_| is_visible(caller, name));
    let unknown = || Failure::new(Code::NotFound, "there is no such integration");
    visible.cloned().ok_or_else(unknown)
}

/// Every integration: state, load, circuit breakers, restarts, last error.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    responses((status = 200, description = "The integrations that the caller may see.", body = IntegrationList)),
)]
#[get("/v1/integrations")]
pub(in crate::http) async fn list_integrations(state: web::Data<AppState>, caller: Caller) -> HttpResponse {
    let actors = state.actors.all();
    let visible = actors.filter(|actor| is_visible(&caller, actor.health().name()));
    let integrations = visible.map(|actor| Integration::of(actor.as_ref())).collect();
    HttpResponse::Ok().json(IntegrationList { integrations })
}

/// One integration as it is.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration.", body = Integration), UnknownErrors),
)]
#[get("/v1/integrations/{name}")]
pub(in crate::http) async fn integration(
    request: HttpRequest,
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> HttpResponse {
    match find(&state, &request, &caller, &name) {
        Ok(actor) => HttpResponse::Ok().json(Integration::of(actor.as_ref())),
        Err(failure) => failure.respond(&request),
    }
}

/// Restarts an integration, also one that has failed or whose thread hangs: work in flight gets 5 s to end, what is left
/// is interrupted, requests that come meanwhile get 503 `restarting`, and other integrations notice nothing. The answer
/// comes once the new one runs.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "It was restarted.", body = Restarted), RestartErrors),
)]
#[post("/v1/integrations/{name}/restart")]
pub(in crate::http) async fn restart_integration(
    request: HttpRequest,
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> HttpResponse {
    let actor = match find(&state, &request, &caller, &name) {
        Ok(actor) => actor,
        Err(failure) => return failure.respond(&request),
    };
    let refused =
        |error: NotRestarted| Failure::new(Code::RestartUnderWay, error.to_string()).respond(&request);
    // The first poll has it begun or refused. Begun, it is noted before anything else happens: the client may go, or the
    // process die, before it is over.
    let mut restart = actor.restart();
    let begun = poll!(&mut restart);
    if let Poll::Ready(Err(error)) = begun {
        return refused(error);
    }
    state
        .doors
        .audit_act(AuditAction::IntegrationRestarted, &name, &caller, &request);
    let restarted = match begun {
        Poll::Ready(restarted) => restarted,
        // Each of its steps has a limit of its own, some 8 s together.
        Poll::Pending => restart.await,
    };
    restarted.map_or_else(refused, |restarted| HttpResponse::Ok().json(restarted))
}

/// Does what an operator asks to an integration, and notes it where that is a change.
fn change(
    state: &AppState,
    request: &HttpRequest,
    caller: &Caller,
    name: &str,
    make: fn(&dyn Operate) -> bool,
    action: AuditAction,
) -> HttpResponse {
    match find(state, request, caller, name) {
        Ok(actor) => {
            if make(actor.as_ref()) {
                state.doors.audit_act(action, name, caller, request);
            }
            HttpResponse::Ok().json(Integration::of(actor.as_ref()))
        }
        Err(failure) => failure.respond(request),
    }
}

/// Has an integration refuse all work but hang-ups with 503 `paused`, until it is resumed or the gateway restarted; what is in flight
/// ends as it would. A collector begins no look. Pausing what is paused is as good.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration, paused.", body = Integration), UnknownErrors),
)]
#[post("/v1/integrations/{name}/pause")]
pub(in crate::http) async fn pause_integration(
    request: HttpRequest,
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> HttpResponse {
    let pause = |actor: &dyn Operate| actor.pause();
    change(
        &state,
        &request,
        &caller,
        &name,
        pause,
        AuditAction::IntegrationPaused,
    )
}

/// Lets work in again. Resuming what is not paused is as good.
#[utoipa::path(
    tag = "integrations",
    security(("key" = ["admin"])),
    params(("name" = String, Path, description = "Its name.", example = "asterisk.main")),
    responses((status = 200, description = "The integration, resumed.", body = Integration), UnknownErrors),
)]
#[post("/v1/integrations/{name}/resume")]
pub(in crate::http) async fn resume_integration(
    request: HttpRequest,
    name: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> HttpResponse {
    let resume = |actor: &dyn Operate| actor.resume();
    change(
        &state,
        &request,
        &caller,
        &name,
        resume,
        AuditAction::IntegrationResumed,
    )
}
