//! What a caller is told whose request was not carried out. It is data: [`render`](super::render) makes a body of it.

mod ari;
mod ask;
mod code;
mod recordings;
mod store;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::call::CallId;

pub(super) use ask::saturated;
pub use code::ErrorCode;

/// What is known of a call that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Nothing was dialled, for certain.
    NotPlaced,
    /// The request left and no answer came: there may be a call.
    Unknown,
}

/// What is wrong, for people: in one sentence, or field by field.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Message {
    /// The request as a whole.
    Whole(String),
    /// Each complaint about a field.
    #[display("{}", _0.join("; "))]
    Fields(Vec<String>),
}

/// Why a request was not carried out. It holds no secret, no number and nothing of our own insides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ApiError {
    /// Its name for programs; the status and whether to repeat the request come with it.
    pub(super) code: ErrorCode,
    /// Words for people.
    pub(super) message: Message,
    /// What became of the call, where the request was for one.
    pub(super) outcome: Option<Outcome>,
    /// The call, where there may be one.
    pub(super) call_id: Option<CallId>,
    /// When a new try is worthwhile.
    pub(super) retry_after: Option<Duration>,
    /// How many requests a second the caller may send, where it sent more.
    pub(super) rate_limit: Option<u32>,
    /// Whether it was refused for who asks: the audit has it.
    pub(super) refused: bool,
}

/// When to try again where nothing says how long it takes: an integration that is away, or one that an operator has
/// to restart.
const AWAY: Duration = Duration::from_secs(5);
const DOWN: Duration = Duration::from_secs(30);

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl ErrorCode {
    /// An error of this code, without more to say than these words.
    pub(super) fn error(self, message: impl Into<String>) -> ApiError {
        ApiError {
            code: self,
            message: Message::Whole(message.into()),
            outcome: None,
            call_id: None,
            retry_after: None,
            rate_limit: None,
            refused: false,
        }
    }
}

impl ApiError {
    /// The request itself is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        ErrorCode::InvalidRequest.error(message)
    }

    /// Fields of the body are wrong, each in words.
    pub(super) fn invalid_fields(complaints: Vec<String>) -> Self {
        Self {
            message: Message::Fields(complaints),
            ..ErrorCode::InvalidRequest.error("")
        }
    }

    /// There is no such thing, or none that this caller may see: nobody can tell which.
    pub(super) fn not_found(what: &str) -> Self {
        ErrorCode::NotFound.error(format!("there is no such {what}"))
    }

    /// Nothing of that kind is configured, so nobody was asked.
    pub(super) fn not_configured(what: &str) -> Self {
        ErrorCode::NotConfigured.error(format!("no {what} is configured"))
    }

    /// The same, with the time after which to try again.
    pub(super) fn retry_in(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same, of an originate that was certainly not sent.
    pub(super) fn not_placed(mut self) -> Self {
        self.outcome = Some(Outcome::NotPlaced);
        self
    }

    /// The same, for the audit: who asked is why.
    pub(super) fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// The seconds of a `Retry-After` header, rounded up.
    fn retry_after_s(&self) -> Option<u64> {
        self.retry_after
            .map(|wait| wait.as_millis().div_ceil(1_000).max(1) as u64)
    }
}

/// The status and the headers; the body depends on the route.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        let retry_after = self.retry_after_s();
        if let Some(seconds) = retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(limit) = self.rate_limit {
            response
                .insert_header((LIMIT, limit))
                .insert_header((REMAINING, 0))
                .insert_header((RESET, retry_after.unwrap_or(1)));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.finish()
    }
}

/// What tests hold against their tables: status, code, retryable, outcome, `Retry-After`.
#[cfg(test)]
type Told = (u16, &'static str, bool, Option<Outcome>, Option<u64>);

#[cfg(test)]
fn told(error: &ApiError) -> Told {
    (
        error.code.status().as_u16(),
        error.code.as_str(),
        error.code.retryable(),
        error.outcome,
        error.retry_after_s(),
    )
}
