//! `GET last-call-id`: the greatest `call_history_id` that is stored.

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cdr::GetLastCallId;
use crate::http::access::Caller;
use crate::http::document::{AskErrors, NotConfiguredError, StoreErrors};
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// The reply; an empty store has an empty id.
#[derive(Serialize, ToSchema)]
pub(super) struct LastCallId {
    /// The id.
    #[schema(example = "00000000-01dd-7a15-d07f-8ab0000f4240")]
    call_id: String,
}

/// The greatest `call_id` that is stored; an empty store has an empty one.
#[utoipa::path(
    tag = "pbx-api",
    security(("key" = ["cdr:read"])),
    responses((status = 200, description = "The id.", body = LastCallId), NotConfiguredError, AskErrors, StoreErrors),
)]
#[get("/pbx-api/last-call-id")]
pub(super) async fn last_call_id(
    caller: Caller,
    state: web::Data<AppState>,
) -> Result<web::Json<LastCallId>, ApiError> {
    let question = GetLastCallId {
        pbx: state.default_pac(&caller)?.to_string(),
        client: state.polling_client(&caller),
    };
    let call_id = state
        .cdr()
        .ask_for(caller.client(), question, state.deadline())
        .await?;
    Ok(web::Json(LastCallId {
        call_id: call_id.map(|id| id.to_string()).unwrap_or_default(),
    }))
}
