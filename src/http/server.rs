//! The server around the routes.

use std::io;
use std::net::TcpListener;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt as _;

use super::access::{KEY_HEADER, enforce};
use super::connection::{count_requests, listen};
use super::observe::{RequestSpan, observe};
use super::security_headers::security_headers;
use super::tls::Tls;
use super::{AppState, configure};
use crate::settings::HttpSettings;
use crate::telemetry;

/// How long a browser may keep an answer about origins, in seconds: as the original.
const CORS_MAX_AGE: usize = 3_600;

/// Starts the server on `listener`, with TLS where there is a pair for it. It handles no signals: whoever started it stops it, through its handle.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    settings: &HttpSettings,
    tls: Option<Tls>,
    state: AppState,
    listener: TcpListener,
) -> io::Result<Server> {
    actix_web::rt::spawn(telemetry::run_upkeep(state.metrics.clone()));
    let state = web::Data::new(state);
    let lifecycle = state.lifecycle.clone();
    let base = settings.base_path();
    let origins = settings.allowed_origins.clone();
    let shutdown_s = settings.shutdown_timeout().as_millis().div_ceil(1_000);
    let shutdown_s = u64::try_from(shutdown_s).unwrap_or(u64::MAX);
    let server = listen(listener, tls.as_ref(), &lifecycle, shutdown_s, move || {
        App::new()
            .into_utoipa_app()
            .app_data(state.clone())
            .configure(|config| configure(&base, config))
            .into_app()
            .wrap(from_fn(enforce))
            .wrap(cors(&origins))
            .wrap(security_headers())
            .wrap(from_fn(observe))
            // Everything within has the request's id.
            .wrap(TracingLogger::<RequestSpan>::new())
            // The last is the outermost: a request ends with its answer's last byte.
            .wrap(from_fn(count_requests))
    })?;
    if let Some(tls) = tls {
        actix_web::rt::spawn(tls.keep_up());
    }
    Ok(server)
}

/// Only the listed origins, with the original's methods and headers, and never with credentials.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "DELETE", "OPTIONS"])
        .allowed_headers([
            header::ORIGIN,
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            KEY_HEADER,
        ])
        .max_age(CORS_MAX_AGE);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
