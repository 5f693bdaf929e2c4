//! `/v1/keys`: making, listing and revoking keys.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::access::Caller;
use crate::http::body::{Body, json};
use crate::http::document::{BodyErrors, LimitedError, error_responses};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;
use crate::ledger::key::{
    ApiKey, CreateKey, InvalidKey, KeyId, ListKeys, NewKey, Principal, RevokeKey, RotateLinkKey, Scope,
};

error_responses! {
    /// What can become of work on the ledger.
    pub(super) LedgerErrors [
        Saturated, CircuitOpen, Paused, Restarting, Failed, DeadlineExceeded, StoreUnavailable, StoreFailed, StoreDamaged,
    ];
    /// What can be wrong with a key that is asked for.
    NewKeyErrors [KeyNameTaken, TooManyKeys, InternalError];
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// Its name, which no other live key has: letters, digits, dots, dashes and underscores.
    #[schema(
        example = "crm",
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9._-]+$"
    )]
    name: String,
    /// What it is good for: `calls:write`, `calls:read`, `cdr:read`, `recordings:read`, `status:read`, `admin`.
    #[schema(value_type = Vec<Scope>, example = json!(["calls:write", "cdr:read"]), min_items = 1)]
    scopes: Vec<String>,
    /// The PBXs it may see, by their names in the settings; all of them, those of the future too, where this is left
    /// out. A key that sees only some makes keys that see no others.
    #[schema(example = json!(["main"]), min_items = 1)]
    pbxs: Option<Vec<String>>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
struct NewlyMade {
    /// The secret to send with requests. It is told this once and kept nowhere.
    #[schema(example = "mege_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    secret: String,
    #[serde(flatten)]
    key: ApiKey,
}

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    /// Those that hold, oldest first, then those that were revoked, the latest first; at most 1000 of each.
    keys: Vec<ApiKey>,
}

/// Lists the keys, without their secrets: those that see no more than the caller.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    responses((status = 200, description = "The keys.", body = KeyList), LedgerErrors),
)]
#[get("/v1/keys")]
pub(super) async fn list_keys(
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<web::Json<KeyList>, ApiError> {
    let mut keys = state.ledger().ask(ListKeys, state.deadline()).await?;
    keys.retain(|key| caller.may_see_key(key));
    Ok(web::Json(KeyList { keys }))
}

/// Makes a key. Its secret is in this reply and nowhere else. Where no reply comes it may have been made: then revoke it.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    request_body = KeyRequest,
    responses((status = 201, description = "The key, with its secret.", body = NewlyMade), BodyErrors, NewKeyErrors, LedgerErrors),
)]
#[post("/v1/keys")]
pub(super) async fn create_key(
    body: Body,
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<HttpResponse, ApiError> {
    let deadline = state.deadline();
    let wanted: KeyRequest = json(body, deadline).await?;
    // Nobody makes a key that sees more than its own.
    let visible = state.pbxs(&caller);
    let pbxs = match wanted.pbxs {
        None if !caller.sees_all() => Some(visible.iter().cloned().collect()),
        pbxs => pbxs,
    };
    let key = NewKey::parse(&wanted.name, &wanted.scopes, pbxs.as_deref(), &visible)
        .map_err(|error| code_of(&error, pbxs.as_deref()).error(error.to_string()))?;
    let created = state.ledger().ask(CreateKey { key, by }, deadline).await?;
    Ok(HttpResponse::Created().json(NewlyMade {
        secret: created.secret.expose().to_owned(),
        key: created.key,
    }))
}

/// A PBX that is not there is no fault of the request's form.
fn code_of(error: &InvalidKey, pbxs: Option<&[String]>) -> ErrorCode {
    match error {
        InvalidKey::Pbxs { .. } if pbxs.is_some_and(|pbxs| !pbxs.is_empty()) => ErrorCode::NotFound,
        InvalidKey::Name | InvalidKey::Scopes | InvalidKey::Pbxs { .. } => ErrorCode::InvalidRequest,
    }
}

/// Revokes a key: every gateway on the ledger refuses it within a second. Revoking it again is as good.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    params(("id" = Uuid, Path, description = "The key's id.")),
    responses((status = 204, description = "It is revoked."), LedgerErrors),
)]
#[delete("/v1/keys/{id}")]
pub(super) async fn revoke_key(
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::not_found("key");
    let id = Uuid::try_parse(&id).map(KeyId).map_err(|_| unknown())?;
    let (ledger, deadline) = (state.ledger(), state.deadline());
    if !caller.sees_all() {
        // What a key may see never changes: looking before revoking is soon enough.
        let keys = ledger.ask(ListKeys, deadline).await?;
        let key = keys.iter().find(|key| key.id == id).ok_or_else(unknown)?;
        if !caller.may_see_key(key) {
            return Err(unknown().refused());
        }
    }
    ledger.ask(RevokeKey { id, by }, deadline).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replaces the key that signs links to recordings: every link made before stops working. For a key that sees every PBX.
#[utoipa::path(
    tag = "keys",
    security(("key" = ["admin"])),
    responses((status = 204, description = "It is replaced."), LimitedError, LedgerErrors),
)]
#[post("/v1/keys:rotate-links")]
pub(super) async fn rotate_links(
    state: web::Data<AppState>,
    caller: Caller,
    by: Principal,
) -> Result<HttpResponse, ApiError> {
    caller.must_see_all()?;
    state.ledger().ask(RotateLinkKey { by }, state.deadline()).await?;
    Ok(HttpResponse::NoContent().finish())
}
