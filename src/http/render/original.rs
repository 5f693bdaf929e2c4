//! Errors in the original's shape.

use actix_web::HttpRequest;
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::call::CallId;
use crate::http::access::credentials::without_keys;
use crate::http::error::{ApiError, ErrorCode, Message, Outcome};

/// Why a request to one of the original's routes was not carried out.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct OriginalError {
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    error: OriginalCause,
    /// The path and query of the request.
    #[schema(example = "/pbx-api/cdr")]
    path: String,
    /// When, in UTC with milliseconds.
    #[schema(example = "2026-11-22T10:18:21.942Z")]
    timestamp: String,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OriginalCause {
    message: Message,
    /// The status in words.
    #[schema(example = "Bad Request")]
    error: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status_code: u16,
    /// What went wrong, for programs: one of the table's codes. The original had none, nor what follows; its own errors
    /// are as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Whether the same request may be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    /// What became of the call, where the request was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// The call, where there may be one, as a success names it: it can be looked up and hung up by this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    uniqueid: Option<CallId>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none", rename = "call_id")]
    #[schema(value_type = Option<uuid::Uuid>)]
    call_id: Option<CallId>,
    /// The id of the request in the logs.
    #[serde(skip_serializing_if = "Option::is_none", rename = "request_id")]
    request_id: Option<String>,
}

impl OriginalError {
    /// The body of an error in answer to a request with this method to this path.
    pub(in crate::http) fn new(error: &ApiError, request_id: String, method: &Method, path: String) -> Self {
        let status = error.code.status();
        let message = match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Message::Whole(format!("Cannot {method} {path}"))
            }
            _ => error.message.clone(),
        };
        let ours = !has_it_too(error.code);
        Self {
            status: status.as_u16(),
            error: OriginalCause {
                message,
                error: status.canonical_reason().unwrap_or_default(),
                status_code: status.as_u16(),
                code: ours.then(|| error.code.as_str()),
                retryable: ours.then(|| error.code.retryable()),
                outcome: error.outcome,
                uniqueid: error.call_id,
                call_id: error.call_id,
                request_id: ours.then_some(request_id),
            },
            path,
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        }
    }
}

/// Whether the original answers this too. Such an error has what the original's has, and nothing more.
fn has_it_too(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidRequest
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::RequestTimeout
            | ErrorCode::PayloadTooLarge
    )
}

/// The path and query of a request as they were sent, but for keys. Its URI holds the scheme and host too where it was
/// sent in absolute form.
pub(super) fn target(request: &HttpRequest) -> String {
    let target = request.uri().path_and_query();
    without_keys(target.map_or("", PathAndQuery::as_str))
}
