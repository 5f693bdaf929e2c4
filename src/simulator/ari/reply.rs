//! Answers as ARI gives them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::simulator::oversized::text;

pub(super) fn ok(body: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache, no-store"))
        .content_type("application/json")
        .body(body.to_string())
}

/// What only says that it is JSON.
pub(super) fn pretended(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// A JSON text of so many bytes, of unknown length to its reader. `sent` counts what went.
pub(super) fn oversized(bytes: usize, sent: Arc<AtomicU64>) -> HttpResponse {
    let quote = || std::iter::once(Bytes::from_static(b"\""));
    let pieces = quote().chain(text(bytes.saturating_sub(2))).chain(quote());
    let pieces = pieces.map(move |piece| {
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, Infallible>(piece)
    });
    HttpResponse::Ok()
        .content_type("application/json")
        .streaming(stream::iter(pieces))
}

pub(super) fn no_content() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((CACHE_CONTROL, "no-cache, no-store"))
        .finish()
}

pub(super) fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json")
        .body(json!({ "message": message }).to_string())
}

pub(super) fn bad_request(message: &str) -> HttpResponse {
    error(StatusCode::BAD_REQUEST, message)
}

pub(super) fn not_found(message: &str) -> HttpResponse {
    error(StatusCode::NOT_FOUND, message)
}

pub(super) fn conflict(message: &str) -> HttpResponse {
    error(StatusCode::CONFLICT, message)
}

/// For every reason why a channel cannot be had: the cause is lost.
pub(super) fn allocation_failed() -> HttpResponse {
    HttpResponse::InternalServerError()
        .content_type("application/json")
        .body(json!({ "error": "Allocation failed" }).to_string())
}

pub(super) fn unauthorised() -> HttpResponse {
    HttpResponse::Unauthorized()
        .insert_header((WWW_AUTHENTICATE, "Basic realm=\"Asterisk REST Interface\""))
        .content_type("application/json")
        .body(json!({ "message": "Authentication required" }).to_string())
}

pub(super) fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, allowed))
        .content_type("application/json")
        .body(json!({ "message": "Invalid method" }).to_string())
}
