//! `/v1/audit`: what was done to keys, links and integrations, and whose requests were refused.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::keys::LedgerErrors;
use crate::http::AppState;
use crate::http::code::Code;
use crate::http::document::error_responses;
use crate::http::error::Failure;
use crate::ledger::key::{AuditEntry, AuditId, ListAudit, MAX_AUDIT};

error_responses! {
    /// What can be wrong with the query.
    QueryErrors, problem_responses, [InvalidRequest]
}

/// Which entries to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// How many entries.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
    /// Only those before this one: `next` of the reply before.
    before: Option<Uuid>,
}

fn default_limit() -> u32 {
    100
}

/// Entries of the audit.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The entries, newest first.
    entries: Vec<AuditEntry>,
    /// What to send as `before` for older ones; none where there are no more.
    next: Option<AuditId>,
}

/// What was done to keys, links and integrations, and whose requests were refused, newest first.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    params(AuditQuery),
    responses((status = 200, description = "The entries.", body = AuditPage), QueryErrors, LedgerErrors),
)]
#[get("/v1/audit")]
pub(in crate::http) async fn audit(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    read(&request, &state)
        .await
        .unwrap_or_else(|failure| failure.respond(&request))
}

async fn read(request: &HttpRequest, state: &AppState) -> Result<HttpResponse, Failure> {
    let invalid = |message: String| Failure::new(Code::InvalidRequest, message);
    let query = web::Query::<AuditQuery>::from_query(request.query_string())
        .map_err(|error| invalid(error.to_string()))?
        .into_inner();
    if !(1..=MAX_AUDIT).contains(&query.limit) {
        return Err(invalid(format!("limit must be 1 to {MAX_AUDIT}")));
    }
    let list = ListAudit {
        before: query.before.map(AuditId),
        limit: query.limit,
    };
    let entries = state.gateway.list_audit(list, state.deadline()).await?;
    // A full page may have older ones behind it.
    let last = entries.get(query.limit as usize - 1);
    let next = last.map(|entry| entry.id);
    Ok(HttpResponse::Ok().json(AuditPage { entries, next }))
}
