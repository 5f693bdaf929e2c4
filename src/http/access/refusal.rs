//! What a caller that is refused is told, and what the audit has of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;

use super::caller::{Caller, principal};
use super::credentials::Malformed;
use super::rate::Excess;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::site::Site;
use crate::ledger::key::{ApiKey, AuditLog, Scope};

/// When to try again while the ledger was not read yet.
const KEYS_RETRY: Duration = Duration::from_secs(5);

/// When to try again while there is no place for a connection.
const PLACE_RETRY: Duration = Duration::from_secs(1);

/// Why a request was refused for who sent it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What the caller is told.
    pub(super) error: ApiError,
    /// Whether it is about the caller's address alone: what it sent shows nothing wrong.
    pub(super) of_address: bool,
    by: By,
}

/// Who was refused, as the audit has it.
#[derive(Debug, derive_more::From)]
pub(super) enum By {
    /// Not for the audit: it says nothing about the caller.
    #[from(skip)]
    Unrecorded,
    /// Nobody that is known, in words.
    Unknown(&'static str),
    /// Who sent this key, which does not hold any more.
    Revoked(Arc<ApiKey>),
    /// A known caller.
    Caller(Box<Caller>),
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::unauthenticated(malformed.to_string(), "a malformed key")
    }
}

impl Refusal {
    pub(super) fn new(error: ApiError, by: impl Into<By>) -> Self {
        Self {
            error,
            of_address: false,
            by: by.into(),
        }
    }

    pub(super) fn unauthenticated(words: impl Into<String>, by: impl Into<By>) -> Self {
        Self::new(ErrorCode::Unauthenticated.error(words), by)
    }

    /// It is about the caller's address alone.
    pub(super) fn of_address(mut self) -> Self {
        self.of_address = true;
        self
    }

    /// The ledger was not read yet.
    pub(super) fn keys_unavailable() -> Self {
        let words = "the keys were not read yet since the gateway started: its ledger does not answer";
        let error = ErrorCode::KeysUnavailable.error(words);
        Self::new(error.retry_in(KEYS_RETRY), By::Unrecorded)
    }

    /// As many connections have requests under way as may.
    pub(super) fn no_place() -> Self {
        let words = "as many connections have requests under way as may";
        Self::new(
            ErrorCode::Saturated.error(words).retry_in(PLACE_RETRY),
            By::Unrecorded,
        )
    }

    /// The key is not good for this.
    pub(super) fn scope_missing(caller: Caller, scope: Scope) -> Self {
        let words = format!("the key lacks the scope {scope}, which this route needs");
        Self::new(ErrorCode::ScopeMissing.error(words), Box::new(caller))
    }

    pub(super) fn too_often(words: &str, excess: Excess, by: impl Into<By>) -> Self {
        let error = ApiError {
            rate_limit: Some(excess.per_s),
            ..ErrorCode::RateLimited.error(words).retry_in(excess.wait)
        };
        Self::new(error, by)
    }

    /// Leaves it for the audit, where it is about somebody.
    pub(super) fn record(
        &self,
        audit: &AuditLog,
        request: &HttpRequest,
        pattern: Option<&str>,
        address: IpAddr,
    ) {
        let by = match &self.by {
            By::Unrecorded => return,
            By::Unknown(who) => principal((*who).to_owned(), None, Site::of(address), request),
            By::Revoked(key) => principal(key.name.clone(), Some(key), address, request),
            By::Caller(caller) => caller.principal(request),
        };
        audit.record(by, pattern.unwrap_or("none").to_owned(), self.error.code.as_str());
    }
}
