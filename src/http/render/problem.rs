//! Errors of the gateway's own routes: problem documents, as RFC 9457 has them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::call::CallId;
use crate::http::error::{ApiError, Outcome};

/// The media type of a problem document.
pub(in crate::http) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not carried out (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Problem {
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
    /// The call, where there may be one: it can be looked up and hung up by this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    call_id: Option<CallId>,
}

impl Problem {
    /// The problem document of an error.
    pub(in crate::http) fn new(error: &ApiError, request_id: String) -> Self {
        let code = error.code.as_str();
        Self {
            about: format!("/docs/errors#{code}"),
            title: code.replace('_', " "),
            status: error.code.status().as_u16(),
            detail: error.to_string(),
            code,
            request_id,
            retryable: error.code.retryable(),
            outcome: error.outcome,
            call_id: error.call_id,
        }
    }
}
