//! `/v1/calls`: the calls that live.

use actix_web::{HttpRequest, HttpResponse, delete, web};
use uuid::Uuid;

use crate::call::CallId;
use crate::http::AppState;
use crate::http::access::Caller;
use crate::http::document::error_responses;
use crate::http::error::Failure;

error_responses! {
    /// What can become of a hang-up.
    HangupErrors, problem_responses, [
        NotFound, CredentialsRefused, Rejected, Saturated, CircuitOpen, Restarting, Failed, Interrupted,
        NotConnected, RequestNotSent, DeadlineExceeded,
    ]
}

/// Hangs a call up, whether it rings or is talked on. It ends a moment after this reply. Asking again is safe.
#[utoipa::path(
    tag = "calls",
    security(("key" = ["calls:write"])),
    params(("id" = Uuid, Path, description = "The call's id, as its originate told it.")),
    responses((status = 204, description = "Asterisk ends it."), HangupErrors),
)]
#[delete("/v1/calls/{id}")]
pub(in crate::http) async fn hang_up(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> HttpResponse {
    match end(&id, &state, &caller).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(failure) => failure.respond(&request),
    }
}

async fn end(id: &str, state: &AppState, caller: &Caller) -> Result<(), Failure> {
    let call = Uuid::try_parse(id)
        .map(CallId)
        .map_err(|_| Failure::no_such_call())?;
    // What belongs to another is as if it were not there.
    let pbx = state.gateway.pbx_of_call(call);
    let Some(pbx) = pbx.filter(|pbx| caller.may_see(pbx)) else {
        return Err(Failure::no_such_call());
    };
    state.gateway.hang_up(&pbx, call, state.deadline()).await
}
