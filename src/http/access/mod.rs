//! Who may use a route, and what they may see there. What the document says of a route is what is enforced, and what it
//! does not say is refused.

mod caller;
pub(super) mod credentials;
mod origin;
mod rate;
mod refusal;
mod refusal_log;
mod routes;
mod trust;
mod visible;

use std::net::IpAddr;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use serde_json::Value;
use tracing::Span;

use self::caller::Who;
pub(super) use caller::Caller;
pub(super) use credentials::KEY_HEADER;
use credentials::without_keys;
pub(super) use routes::KEY;
pub(super) use visible::Pbx;

use self::origin::Origins;
use self::rate::RateLimit;
use self::refusal::{By, Refusal};
use self::refusal_log::RefusalLog;
pub(super) use self::refusal_log::Silent;
use self::routes::{Access, Routes};
use self::trust::Trust;
use super::connection::is_in_reserve;
use super::error::{ApiError, ErrorCode};
use super::site::{Site, client_address};
use crate::ledger::key::{AuditLog, KeyId, KeyRing, Known};
use crate::settings::Settings;

/// The pattern of a request's route, for whoever needs it after [`enforce`] has looked it up; none where there is no route.
#[derive(Debug, Clone)]
pub(super) struct RoutePattern(pub(super) Option<String>);

/// Tells callers apart, and holds those that ask too often.
#[derive(Debug)]
pub(super) struct AccessControl {
    keys: KeyRing,
    audit: AuditLog,
    routes: Routes,
    trust: Trust,
    origins: Origins,
    /// Whether everybody may do everything as long as no key was ever made: only somebody on this machine can ask.
    may_be_open: bool,
    per_key: RateLimit<KeyId>,
    per_address: RateLimit<Site>,
    refusals: RefusalLog,
}

impl AccessControl {
    /// That of a gateway with these settings and this document of its routes; it reads `keys` and leaves refusals in `audit`.
    pub(super) fn new(settings: &Settings, document: &Value, keys: KeyRing, audit: AuditLog) -> Self {
        let trust = Trust::new(&settings.auth.trust);
        Self {
            keys,
            audit,
            routes: Routes::of(document),
            may_be_open: settings.http.address.is_loopback() && trust.is_empty(),
            trust,
            origins: Origins::new(&settings.http),
            per_key: RateLimit::new(settings.auth.rate.per_key_per_s),
            per_address: RateLimit::new(settings.auth.rate.per_address_per_s),
            refusals: RefusalLog::new(),
        }
    }

    /// Decides on a request; a caller goes on with it where the route knows who asks.
    fn admit(
        &self,
        request: &ServiceRequest,
        pattern: Option<&str>,
        address: IpAddr,
    ) -> Result<Option<Caller>, Refusal> {
        let access = pattern.and_then(|pattern| self.routes.access(pattern, request.method()));
        if access == Some(&Access::Health) {
            return Ok(None);
        }
        let site = Site::of(address);
        if is_in_reserve(request) && !site.is_this_machine() {
            return Err(Refusal::no_place());
        }
        self.per_address.check(&site).map_err(|excess| {
            Refusal::too_often("too many requests from this address", excess, "an address")
        })?;
        match access {
            None => Err(Refusal::new(
                self.no_route(request.request(), pattern),
                By::Unrecorded,
            )),
            Some(Access::Health | Access::Public) => Ok(None),
            Some(Access::Scope(scope)) => {
                let caller = self.identify(request, address)?.ok_or_else(|| {
                    let words = "this route needs a key: send it as Authorization: Bearer or X-API-Key";
                    Refusal::unauthenticated(words, "nobody")
                })?;
                if !caller.has(*scope) {
                    return Err(Refusal::scope_missing(caller, *scope));
                }
                self.within_rate(caller).map(Some)
            }
            Some(Access::Optional(scope)) => match self.identify(request, address) {
                Ok(Some(caller)) if caller.has(*scope) => self.within_rate(caller).map(Some),
                Ok(Some(caller)) if caller.sent_a_key() => Err(Refusal::scope_missing(caller, *scope)),
                Err(refusal) if !refusal.of_address => Err(refusal),
                // Who sent nothing has shown nothing wrong: the route sees what else there is.
                Ok(_) | Err(_) => Ok(None),
            },
        }
    }

    /// Who a request is from; nobody where it says nothing and its address is not trusted.
    fn identify(&self, request: &ServiceRequest, address: IpAddr) -> Result<Option<Caller>, Refusal> {
        let open = match self.keys.any_key_ever() {
            None => return Err(Refusal::keys_unavailable()),
            Some(any) => !any && self.may_be_open,
        };
        if !open && let Some(digest) = credentials::shown(request.headers(), request.query_string())? {
            return match self.keys.find(&digest) {
                Known::Live(key) => Ok(Some(Caller::new(Who::Key(key), address))),
                Known::Revoked(key) => Err(Refusal::unauthenticated("this key was revoked", key)),
                Known::Nothing => Err(Refusal::unauthenticated(
                    "this key is not known",
                    "an unknown key",
                )),
                Known::NotLoaded => Err(Refusal::keys_unavailable()),
            };
        }
        let caller = if open {
            Caller::new(Who::Open, address)
        } else {
            let Some(name) = self.trust.key_of(address) else {
                return Ok(None);
            };
            match self.keys.named(name) {
                Known::Live(key) => Caller::new(Who::Trusted(key), address),
                Known::Revoked(_) | Known::Nothing => {
                    let words =
                        "this address is trusted to act as a key that does not exist: make it or send one";
                    return Err(Refusal::unauthenticated(words, "a trusted address").of_address());
                }
                Known::NotLoaded => return Err(Refusal::keys_unavailable()),
            }
        };
        // Any page can have the browser of somebody whose address says enough send what has no body, and read the answer of a
        // server that it leads its own name to. A browser says its page's origin with what may change something, and always
        // the name.
        let changes = !request.method().is_safe();
        let authority = request.uri().authority().map(|authority| authority.as_str());
        if changes && self.origins.is_foreign(request.headers(), authority) {
            let words =
                "a page of another origin needs a key for this, or its origin in http.allowed_origins";
            return Err(Refusal::unauthenticated(words, Box::new(caller)).of_address());
        }
        if self.origins.has_foreign_host(request.headers(), authority) {
            let words = "without a key the gateway is asked by an IP address, as localhost, or by the name in http.public_url";
            return Err(Refusal::unauthenticated(words, Box::new(caller)).of_address());
        }
        Ok(Some(caller))
    }

    /// 404, or 405 where the path has other methods.
    fn no_route(&self, request: &HttpRequest, pattern: Option<&str>) -> ApiError {
        let code = match self.allowed(pattern) {
            None => ErrorCode::NotFound,
            Some(_) => ErrorCode::MethodNotAllowed,
        };
        let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let words = format!("Cannot {} {}", request.method(), without_keys(path));
        code.error(words)
    }

    /// The methods of a route.
    fn allowed(&self, pattern: Option<&str>) -> Option<String> {
        Some(self.routes.methods(pattern?)?.join(", "))
    }

    fn within_rate(&self, caller: Caller) -> Result<Caller, Refusal> {
        match caller.key().map(|key| self.per_key.check(&key.id)) {
            Some(Err(excess)) => Err(Refusal::too_often(
                "too many requests with this key",
                excess,
                Box::new(caller),
            )),
            Some(Ok(())) | None => Ok(caller),
        }
    }
}

/// The middleware around all routes.
pub(super) async fn enforce(
    control: web::Data<AccessControl>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let address = client_address(request.peer_addr());
    // The path as the router reads it, escapes and all: otherwise another spelling might lead past.
    let pattern = request
        .resource_map()
        .match_pattern(request.match_info().as_str());
    let caller = match control.admit(&request, pattern.as_deref(), address) {
        Ok(caller) => caller,
        Err(refusal) => {
            refusal.record(&control.audit, request.request(), pattern.as_deref(), address);
            if let Some(silent) = control.refusals.mark() {
                request.extensions_mut().insert(silent);
            }
            let is_of_method = refusal.error.code == ErrorCode::MethodNotAllowed;
            let mut response = request.error_response(refusal.error);
            if is_of_method && let Some(methods) = control.allowed(pattern.as_deref()) {
                let methods = HeaderValue::from_str(&methods)?;
                response.headers_mut().insert(header::ALLOW, methods);
            }
            return Ok(response.map_into_right_body());
        }
    };
    if let Some(caller) = &caller {
        Span::current().record("caller", caller.client().as_str());
        request.extensions_mut().insert(caller.clone());
    }
    request.extensions_mut().insert(RoutePattern(pattern));
    let response = next.call(request).await?;
    let error = response.response().error();
    if let Some(error) = error.and_then(Error::as_error::<ApiError>)
        && error.refused
    {
        let pattern = response.request().match_pattern();
        let by = caller.map_or(By::Unknown("nobody"), |caller| Box::new(caller).into());
        let refusal = Refusal::new(error.clone(), by);
        refusal.record(&control.audit, response.request(), pattern.as_deref(), address);
    }
    Ok(response.map_into_left_body())
}
