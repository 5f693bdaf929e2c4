//! Errors in the original's shape.

use actix_web::http::uri::PathAndQuery;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::without_keys;
use super::error::{Failure, Outcome};
use super::request_id;

/// Why a request to one of the original's routes was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request itself is wrong.
    Request(StatusCode, Message),
    /// An actor did not do it.
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What is wrong: in one sentence, or field by field.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Message {
    /// The request as a whole.
    Whole(String),
    /// Each complaint about a field.
    Fields(Vec<String>),
}

/// Why a request to one of the original's routes was not carried out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LegacyError {
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    error: LegacyCause,
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
struct LegacyCause {
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
    /// The id of the request in the logs.
    #[serde(skip_serializing_if = "Option::is_none", rename = "request_id")]
    request_id: Option<String>,
}

impl LegacyError {
    /// As the body of a response with `status` to a request of `path`.
    fn new(status: StatusCode, message: Message, path: String) -> Self {
        Self {
            status: status.as_u16(),
            error: LegacyCause {
                message,
                error: status.canonical_reason().unwrap_or_default(),
                status_code: status.as_u16(),
                code: None,
                retryable: None,
                outcome: None,
                request_id: None,
            },
            path,
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        }
    }

    /// The body of a failure.
    pub(super) fn of_failure(failure: &Failure, request_id: String, path: String) -> Self {
        let message = Message::Whole(failure.message.clone());
        let mut body = Self::new(failure.code.status(), message, path);
        body.error.code = Some(failure.code.as_str());
        body.error.retryable = Some(failure.code.retryable());
        body.error.outcome = failure.outcome;
        body.error.request_id = Some(request_id);
        body
    }
}

/// The path and query of a request as they were sent, but for keys. Its URI holds the scheme and host too on HTTP/2, and
/// where it was sent in absolute form.
pub(super) fn target(request: &HttpRequest) -> String {
    let target = request.uri().path_and_query();
    without_keys(target.map_or("", PathAndQuery::as_str))
}

impl Refusal {
    /// A body whose fields are wrong, each in words.
    pub(super) fn fields(complaints: Vec<String>) -> Self {
        Self::Request(StatusCode::BAD_REQUEST, Message::Fields(complaints))
    }

    /// A request that is wrong as a whole.
    pub(super) fn request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Request(status, Message::Whole(message.into()))
    }

    /// The response to `request`.
    pub(super) fn respond(self, request: &HttpRequest) -> HttpResponse {
        let path = target(request);
        match self {
            Self::Request(status, message) => {
                HttpResponse::build(status).json(LegacyError::new(status, message, path))
            }
            Self::Failed(failure) => {
                tracing::warn!(code = failure.code.as_str(), "not carried out");
                let mut response = HttpResponse::build(failure.code.status());
                if let Some(seconds) = failure.retry_after_s() {
                    response.insert_header((header::RETRY_AFTER, seconds));
                }
                response.json(LegacyError::of_failure(&failure, request_id::of(request), path))
            }
        }
    }
}
