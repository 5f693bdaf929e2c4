//! `/v1/calls`: the calls that live.

use actix_web::{HttpResponse, delete, web};
use uuid::Uuid;

use crate::http::access::Caller;
use crate::http::document::error_responses;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::ledger::CallId;

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
pub(super) async fn hang_up(
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::not_found("call");
    let call = Uuid::try_parse(&id).map(CallId).map_err(|_| unknown())?;
    let mut trunks = state.trunks(&caller);
    let carrier = trunks.find(|(_, trunk)| trunk.carries(call));
    let (_, trunk) = carrier.ok_or_else(unknown)?;
    trunk.hang_up(call, state.deadline()).await?;
    Ok(HttpResponse::NoContent().finish())
}
