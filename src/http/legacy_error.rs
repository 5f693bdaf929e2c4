//! Errors in the original's shape.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::error::{Failure, Outcome};
use super::request_id;

/// Why a request to one of the original's routes was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request itself is wrong.
    Request(StatusCode, Value),
    /// An actor did not do it.
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    status: u16,
    error: Error<'a>,
    path: String,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Error<'a> {
    message: &'a Value,
    error: &'static str,
    status_code: u16,
    #[serde(flatten)]
    more: Option<More<'a>>,
}

/// What the original has not: for programs to decide by.
#[derive(Serialize)]
struct More<'a> {
    code: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    request_id: &'a str,
}

impl Refusal {
    /// A body whose fields are wrong, each in words.
    pub(super) fn fields(complaints: Vec<String>) -> Self {
        Self::Request(StatusCode::BAD_REQUEST, complaints.into())
    }

    /// A request that is wrong as a whole.
    pub(super) fn request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Request(status, Value::String(message.into()))
    }

    /// The response to `request`.
    pub(super) fn respond(self, request: &HttpRequest) -> HttpResponse {
        let id = request_id::of(request);
        let (status, message, more, retry_after) = match self {
            Self::Request(status, message) => (status, message, None, None),
            Self::Failed(failure) => {
                tracing::warn!(code = failure.code, "not carried out");
                let retry_after = failure.retry_after_s();
                let more = More {
                    code: failure.code,
                    retryable: failure.retryable,
                    outcome: failure.outcome,
                    request_id: &id,
                };
                (failure.status, failure.message.into(), Some(more), retry_after)
            }
        };
        let body = Body {
            status: status.as_u16(),
            error: Error {
                message: &message,
                error: status.canonical_reason().unwrap_or_default(),
                status_code: status.as_u16(),
                more,
            },
            path: request.uri().to_string(),
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        };
        let mut response = HttpResponse::build(status);
        if let Some(seconds) = retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.json(body)
    }
}

/// The answer where there is nothing.
pub(super) fn not_found(request: &HttpRequest) -> HttpResponse {
    let message = format!("Cannot {} {}", request.method(), request.uri());
    Refusal::request(StatusCode::NOT_FOUND, message).respond(request)
}
