//! The id by which a request is found in the logs.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderName;
use actix_web::{HttpMessage as _, HttpRequest};
use uuid::Uuid;

use super::access::credentials::holds_key;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

#[derive(Clone)]
struct RequestId(String);

/// Gives a request its id: the caller's, where that is harmless, or a new one.
pub(super) fn assign(request: &ServiceRequest) -> String {
    let sent = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok());
    let id = sent
        .filter(|id| is_harmless(id))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    id
}

/// The id of a request, once it has one.
pub(super) fn of(request: &HttpRequest) -> String {
    let id = request.extensions().get::<RequestId>().cloned();
    id.map(|RequestId(id)| id).unwrap_or_default()
}

fn is_harmless(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let plain = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
    // Ids are logged and sent back: a key that was put there by mistake must not be.
    plain && !holds_key(text)
}
