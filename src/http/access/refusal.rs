//! What a caller that is refused is told, and what the audit has of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse};

use super::caller::{Caller, principal};
use super::credentials::Malformed;
use super::rate::Excess;
use super::trust::client_address;
use crate::http::code::Code;
use crate::http::error::Failure;
use crate::http::fallback;
use crate::ledger::key::{self, ApiKey, AuditLog, Scope};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// When to try again while the ledger was not read yet.
const KEYS_RETRY: Duration = Duration::from_secs(5);

/// Why a request was refused for who sent it.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no such route, or not with this method: nobody's fault.
    NoRoute,
    /// The ledger was not read yet.
    KeysUnavailable,
    /// Nothing says who asks.
    NoKey,
    /// A page of an origin that is not listed asks, without a key.
    ForeignPage(Caller),
    /// There are no keys, and the name that the request was sent to may be another's.
    ForeignName(Caller),
    /// What is sent cannot be used.
    Malformed(Malformed),
    /// There is no such key.
    UnknownKey,
    /// The address is trusted to act as a key that does not exist.
    UnknownTrustedKey,
    /// The key was revoked.
    Revoked(Arc<ApiKey>),
    /// The key is not good for this.
    ScopeMissing(Caller, Scope),
    /// The route's PBX is not one of the caller's.
    ForeignPbx(Caller),
    /// Too many requests from its address.
    TooOftenFromAddress(Excess),
    /// Too many requests with its key.
    TooOftenWithKey(Caller, Excess),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Leaves for the audit what a route refused by itself.
pub(super) fn record(audit: &AuditLog, request: &HttpRequest, code: Code) {
    let nobody = || {
        let address = client_address(request.peer_addr());
        principal("nobody".to_owned(), None, address, request)
    };
    audit.record(key::Refused {
        by: Caller::of(request).map_or_else(nobody, |caller| caller.principal(request)),
        route: request.match_pattern().unwrap_or_else(|| "none".to_owned()),
        code: code.as_str(),
    });
}

impl Refused {
    fn failure(&self) -> Failure {
        let unauthenticated = |words: &str| Failure::new(Code::Unauthenticated, words);
        match self {
            Self::NoRoute | Self::ForeignPbx(_) => Failure::new(Code::NotFound, "there is no such route"),
            Self::KeysUnavailable => {
                let words =
                    "the keys were not read yet since the gateway started: its ledger does not answer";
                Failure::new(Code::KeysUnavailable, words).retry_in(KEYS_RETRY)
            }
            Self::NoKey => {
                unauthenticated("this route needs a key: send it as Authorization: Bearer or X-API-Key")
            }
            Self::ForeignPage(_) => unauthenticated(
                "a page of another origin needs a key for this, or its origin in http.allowed_origins",
            ),
            Self::ForeignName(_) => unauthenticated(
                "without a key the gateway is asked by an IP address, as localhost, or by the name in http.public_url",
            ),
            Self::Malformed(malformed) => unauthenticated(&malformed.to_string()),
            Self::UnknownKey => unauthenticated("this key is not known"),
            Self::UnknownTrustedKey => unauthenticated(
                "this address is trusted to act as a key that does not exist: make it or send one",
            ),
            Self::Revoked(_) => unauthenticated("this key was revoked"),
            Self::ScopeMissing(_, scope) => Failure::new(
                Code::ScopeMissing,
                format!("the key lacks the scope {scope}, which this route needs"),
            ),
            Self::TooOftenFromAddress(excess) => {
                Failure::new(Code::RateLimited, "too many requests from this address").retry_in(excess.wait)
            }
            Self::TooOftenWithKey(_, excess) => {
                Failure::new(Code::RateLimited, "too many requests with this key").retry_in(excess.wait)
            }
        }
    }

    /// The response: of what a caller may not see, the same as of what is not there.
    pub(super) fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let failure = self.failure();
        let retry_after = failure.retry_after_s();
        let mut response = match self {
            Self::ForeignPbx(_) => fallback::not_found(request),
            Self::NoRoute
            | Self::KeysUnavailable
            | Self::NoKey
            | Self::ForeignPage(_)
            | Self::ForeignName(_)
            | Self::Malformed(_)
            | Self::UnknownKey
            | Self::UnknownTrustedKey
            | Self::Revoked(_)
            | Self::ScopeMissing(..)
            | Self::TooOftenFromAddress(_)
            | Self::TooOftenWithKey(..) => failure.respond(request),
        };
        if let Self::TooOftenFromAddress(excess) | Self::TooOftenWithKey(_, excess) = self {
            let headers = response.headers_mut();
            headers.insert(LIMIT, excess.per_s.into());
            headers.insert(REMAINING, 0.into());
            headers.insert(RESET, retry_after.unwrap_or(1).into());
        }
        response
    }

    /// Leaves it for the audit, where it is about somebody.
    pub(super) fn note(
        &self,
        audit: &AuditLog,
        request: &HttpRequest,
        pattern: Option<String>,
        address: IpAddr,
    ) {
        let nobody = |who: &str| principal(who.to_owned(), None, address, request);
        let by = match self {
            // Neither says anything about the caller.
            Self::NoRoute | Self::KeysUnavailable => return,
            Self::NoKey => nobody("nobody"),
            Self::Malformed(_) => nobody("a malformed key"),
            Self::UnknownKey => nobody("an unknown key"),
            Self::UnknownTrustedKey => nobody("a trusted address"),
            Self::TooOftenFromAddress(_) => nobody("an address"),
            Self::Revoked(key) => principal(key.name.clone(), Some(key), address, request),
            Self::ForeignPage(caller)
            | Self::ForeignName(caller)
            | Self::ScopeMissing(caller, _)
            | Self::ForeignPbx(caller)
            | Self::TooOftenWithKey(caller, _) => caller.principal(request),
        };
        audit.record(key::Refused {
            by,
            route: pattern.unwrap_or_else(|| "none".to_owned()),
            code: self.failure().code.as_str(),
        });
    }
}
