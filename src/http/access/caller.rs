//! Who a request is from, once that is known.

use std::fmt::Display;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use crate::actor::ClientId;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::request_id;
use crate::http::site::Site;
use crate::ledger::key::{ApiKey, Principal, Scope};

/// Who a request is from. Handlers take it as an argument; on a route that needs no key there is none.
#[derive(Debug, Clone)]
pub(in crate::http) struct Caller {
    who: Who,
    address: IpAddr,
    client: ClientId,
}

/// What it shows of itself.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Somebody on this machine, while there are no keys.
    Open,
    /// A client that sent this key.
    Key(Arc<ApiKey>),
    /// A client whose address acts as this key.
    Trusted(Arc<ApiKey>),
}

impl Caller {
    pub(super) fn new(who: Who, address: IpAddr) -> Self {
        let client = match &who {
            Who::Open => format!("address:{address}"),
            Who::Key(key) => format!("key:{}", key.id),
            Who::Trusted(key) => format!("key:{}@{}", key.id, Site::of(address)),
        };
        Self {
            who,
            address,
            client: ClientId::named(client),
        }
    }

    /// The key it acts with; none in open mode.
    pub(in crate::http) fn key(&self) -> Option<&ApiKey> {
        match &self.who {
            Who::Open => None,
            Who::Key(key) | Who::Trusted(key) => Some(key),
        }
    }

    /// Whether it sent its key itself.
    pub(super) fn sent_a_key(&self) -> bool {
        match &self.who {
            Who::Key(_) => true,
            Who::Open | Who::Trusted(_) => false,
        }
    }

    /// The client that it is: its key's id, with the site where several clients act as one key, or the address where
    /// there are no keys.
    pub(in crate::http) fn client(&self) -> &ClientId {
        &self.client
    }

    /// Whether it may do what the scope stands for.
    pub(in crate::http) fn has(&self, scope: Scope) -> bool {
        let scopes = self.key().map(|key| &key.scopes);
        scopes.is_none_or(|scopes| scopes.iter().any(|own| own.includes(scope)))
    }

    /// Who it is, for the audit.
    pub(super) fn principal(&self, request: &HttpRequest) -> Principal {
        let who = match &self.who {
            Who::Open => "anybody on this machine".to_owned(),
            Who::Key(key) => key.name.clone(),
            Who::Trusted(key) => format!("{}, by its address", key.name),
        };
        principal(who, self.key(), self.address, request)
    }
}

pub(super) fn principal(
    who: String,
    key: Option<&ApiKey>,
    origin: impl Display,
    request: &HttpRequest,
) -> Principal {
    Principal {
        who,
        key_id: key.map(|key| key.id),
        origin: origin.to_string(),
        request_id: Some(request_id::of(request)),
    }
}

/// What the middleware left; nobody where there is nothing, whatever the reason.
impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| ErrorCode::Unauthenticated.error("this route needs a key")))
    }
}

/// Who it is from, for the audit.
impl FromRequest for Principal {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        ready(
            caller
                .map(|caller| caller.principal(request))
                .map_err(Error::from),
        )
    }
}
