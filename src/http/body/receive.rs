//! A request's body on its way: how long it may take, and how much memory.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::unfinished::{Place, UnfinishedBodies};
use crate::http::access::Caller;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;
use crate::ledger::key::KeyId;

/// The largest body, as the original's.
pub(super) const MAX_BODY: usize = 100 * 1024;

/// How long a body may take before it has to come as fast as [`LEAST_RATE`], in bytes a second: most come at once.
const GRACE: Duration = Duration::from_secs(5);
const LEAST_RATE: u64 = 1_024;

/// The body of a request, not read yet.
#[derive(derive_more::Debug)]
pub(in crate::http) struct Body {
    /// Whether it says that it is JSON.
    pub(super) is_json: bool,
    length: Option<usize>,
    #[debug(skip)]
    payload: Payload,
    unfinished: Arc<UnfinishedBodies>,
    key: Option<KeyId>,
}

impl Body {
    /// The whole body, in as much memory as it needs: actix's own collector sets 32 KiB aside for each, and most are far
    /// smaller.
    ///
    /// # Errors
    /// When it is too large, breaks off, does not come until the deadline or at the least rate; and when it does not come
    /// at once while as many others do not either as may.
    ///
    /// # Cancel safety
    /// Dropping it loses the request, and nothing else.
    pub(super) async fn receive(mut self, deadline: Instant) -> Result<Vec<u8>, ApiError> {
        let begun = Instant::now();
        if self.length.is_some_and(|length| length > MAX_BODY) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        let mut place: Option<Place> = None;
        loop {
            let chunk = match self.payload.next().now_or_never() {
                Some(chunk) => chunk,
                None => {
                    let expected = self.length.unwrap_or(body.capacity());
                    if let Some(place) = &mut place {
                        place.grow(expected)?;
                    } else {
                        place = Some(self.unfinished.enter(self.key, expected)?);
                    }
                    let due = begun + GRACE + Duration::from_secs(body.len() as u64 / LEAST_RATE);
                    timeout_at(due.min(deadline), self.payload.next())
                        .await
                        .map_err(|_| ErrorCode::RequestTimeout.error("the body did not come in time"))?
                }
            };
            let Some(chunk) = chunk else {
                return Ok(body);
            };
            let chunk = chunk.map_err(|_| ApiError::invalid("the body broke off"))?;
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            if let Some(length) = self.length {
                // Once: what is there is as long as that, or less.
                body.reserve_exact(length.saturating_sub(body.len()));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

fn too_large() -> ApiError {
    ErrorCode::PayloadTooLarge.error("request entity too large")
}

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = web::Data::<AppState>::from_request(request, payload).into_inner();
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let extensions = request.extensions();
        let key = extensions.get::<Caller>().and_then(Caller::key);
        ready(state.map(|state| Self {
            is_json: request.content_type().eq_ignore_ascii_case("application/json"),
            length,
            payload: payload.take(),
            unfinished: Arc::clone(&state.unfinished_bodies),
            key: key.map(|key| key.id),
        }))
    }
}
