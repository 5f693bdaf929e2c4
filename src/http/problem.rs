//! Errors of the gateway's own routes: problem documents, as RFC 9457 has them.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::code::Code;
use super::error::{Failure, Outcome};
use super::request_id;

/// The media type of a problem document.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not carried out (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Where the code is explained, a reference relative to the gateway.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#saturated")]
    about: String,
    /// The code in words.
    #[schema(example = "saturated")]
    title: String,
    /// The HTTP status.
    #[schema(example = 503)]
    status: u16,
    /// What is wrong with this request, for people.
    #[schema(example = "too many requests are in flight already")]
    detail: String,
    /// What went wrong, for programs: one of the table's codes.
    #[schema(example = "saturated")]
    code: &'static str,
    /// The id of the request in the logs.
    #[schema(example = "01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21")]
    request_id: String,
    /// Whether the same request may be sent again.
    #[schema(example = true)]
    retryable: bool,
    /// What became of the call, where the request was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

impl Problem {
    /// The problem document of a failure.
    pub(super) fn new(failure: &Failure, request_id: String) -> Self {
        Self {
            about: about(failure.code),
            title: failure.code.as_str().replace('_', " "),
            status: failure.code.status().as_u16(),
            detail: failure.message.clone(),
            code: failure.code.as_str(),
            request_id,
            retryable: failure.code.retryable(),
            outcome: failure.outcome,
        }
    }
}

/// Where a code is explained.
fn about(code: Code) -> String {
    format!("/docs/errors#{}", code.as_str())
}

/// The response to `request`.
pub(super) fn respond(failure: &Failure, request: &HttpRequest) -> HttpResponse {
    tracing::warn!(code = failure.code.as_str(), "not carried out");
    let mut response = HttpResponse::build(failure.code.status());
    if let Some(seconds) = failure.retry_after_s() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response
        .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
        .json(Problem::new(failure, request_id::of(request)))
}
