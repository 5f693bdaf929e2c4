//! `GET last-call-id`: the greatest `call_history_id` that is stored.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::access::Caller;
use crate::http::document::ReadErrors;
use crate::http::legacy_error::Refusal;

/// The reply; an empty store has an empty id.
#[derive(Serialize, ToSchema)]
struct LastCallId {
    /// The id.
    #[schema(example = "00000000-01dd-7a15-d07f-8ab0000f4240")]
    call_id: String,
}

/// The greatest `call_id` that is stored; an empty store has an empty one.
#[utoipa::path(
    tag = "pbx-api",
    security(("key" = ["cdr:read"])),
    responses((status = 200, description = "The id.", body = LastCallId), ReadErrors),
)]
#[get("/pbx-api/last-call-id")]
pub(in crate::http) async fn last_call_id(
    request: HttpRequest,
    caller: Caller,
    state: web::Data<AppState>,
) -> HttpResponse {
    match state
        .gateway
        .last_call_id(caller.client(), state.deadline())
        .await
    {
        Ok(call_id) => HttpResponse::Ok().json(LastCallId {
            call_id: call_id.map(|id| id.to_string()).unwrap_or_default(),
        }),
        Err(failure) => Refusal::from(failure).respond(&request),
    }
}
