//! Who a request is from, once that is known.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, error};

use crate::cdr::ClientId;
use crate::http::code::Code;
use crate::http::error::Failure;
use crate::http::request_id;
use crate::ledger::key::{ApiKey, Principal, Scope};

/// Who a request is from. Handlers take it as an argument; on a route that needs no key there is none.
#[derive(Debug, Clone)]
pub(in crate::http) struct Caller {
    who: Who,
    address: IpAddr,
}

#[derive(Debug, Clone)]
enum Who {
    /// Somebody on this machine, while there are no keys.
    Open,
    /// A client that sent this key.
    Key(Arc<ApiKey>),
    /// A client whose address acts as this key.
    Trusted(Arc<ApiKey>),
}

impl Caller {
    pub(super) fn open(address: IpAddr) -> Self {
        let who = Who::Open;
        Self { who, address }
    }

    pub(super) fn with_key(key: Arc<ApiKey>, address: IpAddr) -> Self {
        let who = Who::Key(key);
        Self { who, address }
    }

    pub(super) fn trusted(key: Arc<ApiKey>, address: IpAddr) -> Self {
        let who = Who::Trusted(key);
        Self { who, address }
    }

    /// Who the middleware found a request to be from; nobody where it is from nobody in particular.
    pub(in crate::http) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// The key it acts with; none in open mode.
    pub(in crate::http) fn key(&self) -> Option<&ApiKey> {
        match &self.who {
            Who::Open => None,
            Who::Key(key) | Who::Trusted(key) => Some(key),
        }
    }

    /// Whether it was let in because there are no keys.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.who, Who::Open)
    }

    /// Whether it sent its key itself.
    pub(super) fn sent_a_key(&self) -> bool {
        match &self.who {
            Who::Key(_) => true,
            Who::Open | Who::Trusted(_) => false,
        }
    }

    /// The same for the same client: its key's id, with the address where several clients act as one key, or the address
    /// where there are no keys. It is no secret.
    pub(in crate::http) fn identity(&self) -> String {
        match &self.who {
            Who::Open => format!("address:{}", self.address),
            Who::Key(key) => format!("key:{}", key.id),
            Who::Trusted(key) => format!("key:{}@{}", key.id, self.address),
        }
    }

    /// The same, as the CDR store tells clients apart.
    pub(in crate::http) fn client(&self) -> ClientId {
        ClientId::named(self.identity())
    }

    /// Whether it may do what the scope stands for.
    pub(in crate::http) fn has(&self, scope: Scope) -> bool {
        self.key().is_none_or(|key| key.scopes.contains(&scope))
    }

    /// Whether it may see what belongs to that PBX; for one that may not, it is as if it were not there.
    pub(in crate::http) fn may_see(&self, pbx: &str) -> bool {
        self.key().is_none_or(|key| key.may_see(pbx))
    }

    /// Whether it sees every PBX, those of the future too.
    pub(in crate::http) fn sees_all(&self) -> bool {
        self.key().is_none_or(|key| key.pbxs.is_none())
    }

    /// Who it is, for the audit.
    pub(in crate::http) fn principal(&self, request: &HttpRequest) -> Principal {
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
    address: IpAddr,
    request: &HttpRequest,
) -> Principal {
    Principal {
        who,
        key_id: key.map(|key| key.id),
        origin: address.to_string(),
        request_id: Some(request_id::of(request)),
    }
}

/// What the middleware left; nobody where there is nothing, whatever the reason.
impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| {
            let words = "this route needs a key";
            let response = Failure::new(Code::Unauthenticated, words).respond(request);
            error::InternalError::from_response(words, response).into()
        }))
    }
}
