//! What a caller that is refused is told, and what the audit has of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;

use super::caller::{Caller, principal};
use super::credentials::Malformed;
use super::rate::Excess;
use crate::http::error::{ApiError, ErrorCode};
use crate::ledger::key::{ApiKey, AuditLog, Refused, Scope};

/// When to try again while the ledger was not read yet.
const KEYS_RETRY: Duration = Duration::from_secs(5);

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
#[derive(Debug)]
enum By {
    /// Not for the audit: it says nothing about the caller.
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
        unauthenticated(&malformed.to_string(), By::Unknown("a malformed key"))
    }
}

fn unauthenticated(words: &str, by: By) -> Refusal {
    Refusal {
        error: ApiError::new(ErrorCode::Unauthenticated, words),
        of_address: false,
        by,
    }
}

fn too_often(words: &str, excess: Excess, by: By) -> Refusal {
    let error = ApiError {
        rate_limit: Some(excess.per_s),
        ..ApiError::new(ErrorCode::RateLimited, words).retry_in(excess.wait)
    };
    Refusal {
        error,
        of_address: false,
        by,
    }
}

impl Refusal {
    /// What it was asked for is not there, or not with this method.
    pub(super) fn unrecorded(error: ApiError) -> Self {
        Self {
            error,
            of_address: false,
            by: By::Unrecorded,
        }
    }

    /// The ledger was not read yet.
    pub(super) fn keys_unavailable() -> Self {
        let words = "the keys were not read yet since the gateway started: its ledger does not answer";
        Self::unrecorded(ApiError::new(ErrorCode::KeysUnavailable, words).retry_in(KEYS_RETRY))
    }

    /// Nothing says who asks.
    pub(super) fn no_key() -> Self {
        let words = "this route needs a key: send it as Authorization: Bearer or X-API-Key";
        unauthenticated(words, By::Unknown("nobody"))
    }

    /// There is no such key.
    pub(super) fn unknown_key() -> Self {
        unauthenticated("this key is not known", By::Unknown("an unknown key"))
    }

    /// The key was revoked.
    pub(super) fn revoked(key: Arc<ApiKey>) -> Self {
        unauthenticated("this key was revoked", By::Revoked(key))
    }

    fn of_address(words: &str, by: By) -> Self {
        Self {
            of_address: true,
            ..unauthenticated(words, by)
        }
    }

    /// The address is trusted to act as a key that does not exist.
    pub(super) fn unknown_trusted_key() -> Self {
        let words = "this address is trusted to act as a key that does not exist: make it or send one";
        Self::of_address(words, By::Unknown("a trusted address"))
    }

    /// A page of an origin that is not listed asks, without a key.
    pub(super) fn foreign_origin(caller: Caller) -> Self {
        let words = "a page of another origin needs a key for this, or its origin in http.allowed_origins";
        Self::of_address(words, By::Caller(Box::new(caller)))
    }

    /// No key came, and the name that the request was sent to may be another's.
    pub(super) fn foreign_host(caller: Caller) -> Self {
        let words = "without a key the gateway is asked by an IP address, as localhost, or by the name in http.public_url";
        Self::of_address(words, By::Caller(Box::new(caller)))
    }

    /// The key is not good for this.
    pub(super) fn scope_missing(caller: Caller, scope: Scope) -> Self {
        let words = format!("the key lacks the scope {scope}, which this route needs");
        Self::by_route(ApiError::new(ErrorCode::ScopeMissing, words), Some(caller))
    }

    /// Too many requests from its address.
    pub(super) fn too_often_from_address(excess: Excess) -> Self {
        too_often(
            "too many requests from this address",
            excess,
            By::Unknown("an address"),
        )
    }

    /// Too many requests with its key.
    pub(super) fn too_often_with_key(caller: Caller, excess: Excess) -> Self {
        too_often(
            "too many requests with this key",
            excess,
            By::Caller(Box::new(caller)),
        )
    }

    /// The route itself refused it.
    pub(super) fn by_route(error: ApiError, caller: Option<Caller>) -> Self {
        Self {
            error,
            of_address: false,
            by: caller.map_or(By::Unknown("nobody"), |caller| By::Caller(Box::new(caller))),
        }
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
            By::Unknown(who) => principal((*who).to_owned(), None, address, request),
            By::Revoked(key) => principal(key.name.clone(), Some(key), address, request),
            By::Caller(caller) => caller.principal(request),
        };
        audit.record(Refused {
            by,
            route: pattern.unwrap_or("none").to_owned(),
            code: self.error.code.as_str(),
        });
    }
}
