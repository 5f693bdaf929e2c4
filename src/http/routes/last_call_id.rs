//! `GET last-call-id`: the greatest `call_history_id` that is stored.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::http::legacy_error::Refusal;
use crate::http::{AppState, client};

/// The reply; an empty store has an empty id.
#[derive(Serialize)]
struct LastCallId {
    call_id: String,
}

pub(in crate::http) async fn get(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    let client = client::of(&request);
    match state.gateway.last_call_id(client, state.deadline()).await {
        Ok(call_id) => HttpResponse::Ok().json(LastCallId {
            call_id: call_id.map(|id| id.to_string()).unwrap_or_default(),
        }),
        Err(failure) => Refusal::from(failure).respond(&request),
    }
}
