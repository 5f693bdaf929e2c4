//! `/v1/calls`: what became of calls, and ending them.

use std::sync::Arc;

use actix_web::{HttpResponse, delete, get, web};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::query::{field, limit};
use crate::ari::{Trunk, look_for_call};
use crate::call::{Call, CallId, CallResource, CallState};
use crate::http::access::Caller;
use crate::http::document::{AskErrors, QueryError, StoreErrors, error_responses};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::ledger::{GetCall, SearchCalls, StateFilter};
use crate::telephony::{Extension, PhoneNumber};

error_responses! {
    /// What Asterisk may answer where the ledger knows nothing of a call.
    LookupErrors [CredentialsRefused, Rejected, NotConfigured, RequestNotSent];
}

/// The longest id of an integrator's, in characters.
const MAX_EXTERNAL_ID: usize = 200;

/// Which calls to list. All conditions have to hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallQuery {
    /// Only those in this state, or in any in which something more may become known of them: `live`.
    #[param(
        example = "ended",
        pattern = "^(live|sent|unknown|ringing|answered|bridged|ended|rejected|failed)$"
    )]
    state: Option<String>,
    /// Only those in which this extension takes part.
    #[param(example = "102", pattern = "^[0-9]{1,10}$")]
    extension: Option<String>,
    /// Only those with this external number, as it was dialled; spaces, brackets, dashes and a `+` make no difference.
    #[param(example = "79102223311", pattern = r"^[ ()-]*\+?[ ()-]*([0-9][ ()-]*){1,15}$")]
    number: Option<String>,
    /// Only those that were asked for at this moment or later, to the millisecond.
    #[param(example = "2026-11-22T10:00:00Z", format = DateTime)]
    from: Option<String>,
    /// Only those that were asked for before this moment.
    #[param(example = "2026-11-23T10:00:00Z", format = DateTime)]
    until: Option<String>,
    /// Only those with this id of the integrator's.
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1F\x7F-\x9F]*$")]
    external_id: Option<String>,
    /// Where to go on: `next_cursor` of the reply before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<String>,
    /// How many calls.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
}

/// Calls, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CallList {
    items: Vec<CallResource>,
    /// What to send as `cursor` for older ones; none where there are no more.
    next_cursor: Option<Uuid>,
    /// Whether there may be older ones.
    has_more: bool,
}

/// Lists the calls that the ledger knows and the caller may see, newest first.
#[utoipa::path(
    tag = "calls",
    security(("key" = ["calls:read"])),
    params(CallQuery),
    responses((status = 200, description = "The calls.", body = CallList), QueryError, AskErrors, StoreErrors),
)]
#[get("/v1/calls")]
pub(super) async fn list_calls(
    query: web::Query<CallQuery>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<web::Json<CallList>, ApiError> {
    let search = query.into_inner().parse(caller.call_integrations())?;
    let limit = search.limit;
    let calls = state
        .ledger()
        .ask_for(caller.client(), search, state.deadline())
        .await?;
    // A full page may have older ones behind it.
    let last = calls.get(limit - 1);
    Ok(web::Json(CallList {
        next_cursor: last.map(|call| call.id.0),
        has_more: last.is_some(),
        items: calls.iter().map(CallResource::from).collect(),
    }))
}

impl CallQuery {
    fn parse(self, integrations: Option<Vec<String>>) -> Result<SearchCalls, ApiError> {
        let words: Vec<&str> = CallState::ALL.iter().map(|state| state.as_str()).collect();
        let state = |word: &str| match word {
            "live" => Some(StateFilter::Live),
            word => CallState::parse(word).map(StateFilter::In),
        };
        let extension = |text: &str| Extension::parse(text, None).ok();
        let number = |text: &str| {
            let plain = text.replace([' ', '(', ')', '-'], "");
            PhoneNumber::parse(&plain).ok()
        };
        let external_id = |text: &str| {
            let fits = (1..=MAX_EXTERNAL_ID).contains(&text.chars().count());
            // PostgreSQL has no text with a NUL.
            (fits && !text.contains(char::is_control)).then(|| text.to_owned())
        };
        let moment = |text: &str| text.parse().ok();
        let moments = "a date and time with an offset, such as 2026-11-22T10:00:00Z";
        let cursor = |text: &str| Uuid::try_parse(text).map(CallId).ok();
        Ok(SearchCalls {
            integrations,
            state: field("state", self.state, state, &format!("live, {}", words.join(", ")))?,
            extension: field("extension", self.extension, extension, "1 to 10 digits")?,
            number: field("number", self.number, number, "digits, with or without a +")?,
            external_id: field(
                "external_id",
                self.external_id,
                external_id,
                "1 to 200 printable characters",
            )?,
            from: field("from", self.from, moment, moments)?,
            until: field("until", self.until, moment, moments)?,
            before: field("cursor", self.cursor, cursor, "next_cursor of a reply")?,
            limit: limit(self.limit)? as usize,
        })
    }
}

/// What became of a call: its state, times, legs, and how it came out.
#[utoipa::path(
    tag = "calls",
    security(("key" = ["calls:read"])),
    params(("id" = Uuid, Path, description = "The call's id, as its originate told it.")),
    responses((status = 200, description = "The call.", body = CallResource), LookupErrors, AskErrors, StoreErrors),
)]
#[get("/v1/calls/{id}")]
pub(super) async fn get_call(
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<web::Json<CallResource>, ApiError> {
    let (call, _) = find(&id, &state, &caller, state.deadline()).await?;
    Ok(web::Json(CallResource::from(call.as_ref())))
}

/// Hangs a call up, whether it rings or is talked on, through any gateway that has its Asterisk. It ends a moment after this
/// reply. Asking again is safe.
#[utoipa::path(
    tag = "calls",
    security(("key" = ["calls:write"])),
    params(("id" = Uuid, Path, description = "The call's id, as its originate told it.")),
    responses((status = 204, description = "Asterisk ends it."), LookupErrors, AskErrors, StoreErrors),
)]
#[delete("/v1/calls/{id}")]
pub(super) async fn hang_up(
    id: web::Path<String>,
    state: web::Data<AppState>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let deadline = state.deadline();
    let (call, trunk) = find(&id, &state, &caller, deadline).await?;
    // Of a PBX that is configured elsewhere only the record is here.
    let trunk = trunk.ok_or_else(|| ApiError::not_configured("such Asterisk"))?;
    if trunk.hang_up(caller.client(), &call, deadline).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::not_found("call"))
    }
}

/// Finds a call, with the trunk of its Asterisk: among those that live here, else in the ledger, else, where that knows
/// nothing or does not answer, on every Asterisk that the caller may see. So what is not found is nowhere.
async fn find<'a>(
    id: &str,
    state: &'a AppState,
    caller: &'a Caller,
    deadline: Instant,
) -> Result<(Arc<Call>, Option<&'a Trunk>), ApiError> {
    let unknown = || ApiError::not_found("call");
    let id = Uuid::try_parse(id).map(CallId).map_err(|_| unknown())?;
    let recorded = match state.live_call(id) {
        Some(call) => Ok(Some(call)),
        None => state
            .ledger()
            .ask_for(caller.client(), GetCall(id), deadline)
            .await
            .map(|call| call.map(Arc::new)),
    };
    let call = match recorded {
        Ok(Some(call)) => call,
        without_record => {
            let trunks = state.trunks(caller).map(|(_, trunk)| trunk);
            match look_for_call(trunks, caller.client(), id, deadline).await? {
                Some(call) => Arc::new(call),
                // Without the ledger nobody can say that there never was such a call.
                None => return Err(without_record.map_or_else(ApiError::from, |_| unknown())),
            }
        }
    };
    let trunk = state.trunk(caller.pbx(call.pbx(), "call")?);
    Ok((call, trunk))
}
