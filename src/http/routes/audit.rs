//! `/v1/audit`: what was done to keys, links and integrations, and whose requests were refused.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::keys::LedgerErrors;
use super::query::{field, limit};
use crate::http::access::Caller;
use crate::http::document::{LimitedError, QueryError};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::ledger::key::{AuditEntry, AuditId, ListAudit};

/// Which entries to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// How many entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// Only those before this one: `next` of the reply before.
    #[param(value_type = Option<Uuid>)]
    before: Option<String>,
}

/// Entries of the audit.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// The entries, newest first.
    entries: Vec<AuditEntry>,
    /// What to send as `before` for older ones; none where there are no more.
    next: Option<AuditId>,
}

/// What was done to keys, links and integrations, and whose requests were refused, newest first; for a key that sees every
/// PBX.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    params(AuditQuery),
    responses((status = 200, description = "The entries.", body = AuditPage), QueryError, LimitedError, LedgerErrors),
)]
#[get("/v1/audit")]
pub(super) async fn audit(
    query: web::Query<AuditQuery>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<web::Json<AuditPage>, ApiError> {
    caller.must_see_all()?;
    let query = query.into_inner();
    let limit = limit(query.limit)?;
    let id = |text: &str| Uuid::try_parse(text).map(AuditId).ok();
    let list = ListAudit {
        before: field("before", query.before, id, "next of a reply")?,
        limit,
    };
    let entries = state
        .ledger()
        .ask_for(caller.client(), list, state.deadline())
        .await?;
    // A full page may have older ones behind it.
    let last = entries.get(limit as usize - 1);
    let next = last.map(|entry| entry.id);
    Ok(web::Json(AuditPage { entries, next }))
}
