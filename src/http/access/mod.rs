//! The doors: who may use a route. What the document says of a route is what is enforced, and what it does not say is
//! refused.

mod caller;
mod credentials;
mod page;
mod rate;
mod refusal;
mod trust;

use std::net::IpAddr;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use tracing::Span;

pub(super) use caller::Caller;
pub(super) use credentials::{KEY_HEADER, holds_key, without_keys};

use self::page::Pages;
use self::rate::RateLimit;
use self::refusal::Refused;
use self::trust::{Trust, client_address, site};
use super::code::Code;
use super::document::Access;
use super::observe::Route;
use super::{AppState, fallback};
use crate::ledger::key::{AuditAction, AuditLog, KeyId, KeyRing, Known, RingState};
use crate::settings::Settings;

/// What tells callers apart, and holds those that ask too often.
#[derive(Debug)]
pub struct Doors {
    ring: KeyRing,
    audit: AuditLog,
    trust: Trust,
    pages: Pages,
    /// Whether everybody may do everything as long as no key was ever made: only somebody on this machine can ask.
    may_be_open: bool,
    per_key: RateLimit<KeyId>,
    per_address: RateLimit<IpAddr>,
}

impl Doors {
    /// Those of a gateway with these settings; they read keys from `ring` and leave refusals in `audit`.
    #[must_use]
    pub fn new(settings: &Settings, ring: KeyRing, audit: AuditLog) -> Self {
        let trust = Trust::new(&settings.auth.trust);
        Self {
            ring,
            audit,
            may_be_open: settings.http.address.is_loopback() && trust.is_empty(),
            trust,
            pages: Pages::new(&settings.http),
            per_key: RateLimit::new(settings.auth.rate.per_key_per_s),
            per_address: RateLimit::new(settings.auth.rate.per_address_per_s),
        }
    }

    /// How the keys are.
    pub(super) fn keys(&self) -> RingState {
        self.ring.state()
    }

    /// Leaves for the audit that a route itself refused a request for who sent it.
    pub(super) fn note(&self, request: &HttpRequest, code: Code) {
        refusal::record(&self.audit, request, code);
    }

    /// Leaves for the audit what somebody has done to an integration, or is about to do.
    pub(super) fn audit_act(
        &self,
        action: AuditAction,
        integration: &str,
        caller: &Caller,
        request: &HttpRequest,
    ) {
        self.audit
            .record_act(action, integration, caller.principal(request));
    }

    /// Who a request is from; nobody where it says nothing and its address is not trusted. On an `optional` route also
    /// where the key of its address does not hold: who sent nothing has shown nothing wrong.
    fn identify(
        &self,
        request: &ServiceRequest,
        address: IpAddr,
        optional: bool,
    ) -> Result<Option<Caller>, Refused> {
        match self.ring.any_key_ever() {
            None => return Err(Refused::KeysUnavailable),
            Some(false) if self.may_be_open => return Ok(Some(Caller::open(address))),
            Some(_) => {}
        }
        let shown = credentials::shown(request.headers(), request.query_string())?;
        let (known, caller): (_, fn(_, _) -> Caller) = match shown {
            Some(digest) => (self.ring.find(&digest), Caller::with_key),
            None => match self.trust.key_of(address) {
                Some(name) => (self.ring.named(name), Caller::trusted),
                None => return Ok(None),
            },
        };
        match known {
            Known::Live(key) => Ok(Some(caller(key, address))),
            Known::Revoked(_) | Known::Nothing if optional && shown.is_none() => Ok(None),
            Known::Revoked(key) => Err(Refused::Revoked(key)),
            Known::Nothing if shown.is_some() => Err(Refused::UnknownKey),
            Known::Nothing => Err(Refused::UnknownTrustedKey),
            Known::NotLoaded => Err(Refused::KeysUnavailable),
        }
    }

    /// Decides on a request; a caller goes on with it where the route knows who asks.
    fn admit(
        &self,
        state: &AppState,
        request: &ServiceRequest,
        pattern: Option<&str>,
        address: IpAddr,
    ) -> Result<Option<Caller>, Refused> {
        self.per_address
            .check(&site(address))
            .map_err(Refused::TooOftenFromAddress)?;
        let access = pattern.and_then(|pattern| state.documents.routes.access(pattern, request.method()));
        let (scope, optional) = match access {
            None => return Err(Refused::NoRoute),
            Some(Access::Public) => return Ok(None),
            Some(Access::Scope(scope)) => (*scope, false),
            Some(Access::Optional(scope)) => (*scope, true),
        };
        let Some(caller) = self.identify(request, address, optional)? else {
            return if optional { Ok(None) } else { Err(Refused::NoKey) };
        };
        // Any page can have the browser of somebody whose address says enough send what has no body; it has no key to send.
        let changes = !request.method().is_safe();
        let authority = request.uri().authority().map(|authority| authority.as_str());
        if changes && !caller.sent_a_key() && self.pages.is_foreign(request.headers(), authority) {
            return Err(Refused::ForeignPage(caller));
        }
        // Where everybody is let in, such a page must not read either; of that a browser says nothing.
        if caller.is_open() && self.pages.is_misled(request.headers(), authority) {
            return Err(Refused::ForeignName(caller));
        }
        if !caller.has(scope) {
            // Who sent nothing has shown nothing wrong: the route sees what else there is.
            return if optional && !caller.sent_a_key() {
                Ok(None)
            } else {
                Err(Refused::ScopeMissing(caller, scope))
            };
        }
        let own_api = state.has_problems(request.request());
        if !own_api && state.default_pbx(scope).is_some_and(|pbx| !caller.may_see(pbx)) {
            return Err(Refused::ForeignPbx(caller));
        }
        if let Some(key) = caller.key()
            && let Err(excess) = self.per_key.check(&key.id)
        {
            return Err(Refused::TooOftenWithKey(caller, excess));
        }
        Ok(Some(caller))
    }
}

/// The middleware around all routes.
pub(super) async fn enforce(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let Some(state) = request.app_data::<web::Data<AppState>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("no state"));
    };
    let address = client_address(request.peer_addr());
    // The path as the router reads it, escapes and all: otherwise another spelling might lead past the door.
    let pattern = request
        .resource_map()
        .match_pattern(request.match_info().as_str());
    match state.doors.admit(&state, &request, pattern.as_deref(), address) {
        Ok(caller) => {
            if let Some(caller) = caller {
                Span::current().record("caller", caller.identity());
                request.extensions_mut().insert(caller);
            }
            request.extensions_mut().insert(Route(pattern));
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(Refused::NoRoute) => {
            let response = fallback::no_route(request.request(), &state, pattern.as_deref());
            Ok(request.into_response(response).map_into_right_body())
        }
        Err(refused) => {
            refused.note(&state.doors.audit, request.request(), pattern, address);
            let response = refused.respond(request.request());
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}
