//! The server around the routes.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt as _;

use super::access::{KEY_HEADER, enforce};
use super::observe::{RequestSpan, observe};
use super::{AppState, configure};
use crate::settings::HttpSettings;
use crate::telemetry;

/// How long a request's head may take to come, and how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a browser may keep an answer about origins, in seconds: as the original.
const CORS_MAX_AGE: usize = 3_600;

/// Starts the server on `listener`. It handles no signals: whoever started it stops it, through its handle.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(settings: &HttpSettings, state: AppState, listener: TcpListener) -> io::Result<Server> {
    actix_web::rt::spawn(telemetry::keep_up(state.metrics.clone()));
    let state = web::Data::new(state);
    let base = settings.base_path();
    let origins = settings.allowed_origins.clone();
    let shutdown_s = settings.shutdown_timeout().as_millis().div_ceil(1_000);
    let server = HttpServer::new(move || {
        App::new()
            .into_utoipa_app()
            .app_data(state.clone())
            .configure(|config| configure(&base, config))
            .into_app()
            .wrap(from_fn(enforce))
            .wrap(cors(&origins))
            .wrap(from_fn(observe))
            // The last is the outermost: everything within has the request's id.
            .wrap(TracingLogger::<RequestSpan>::new())
    })
    .disable_signals()
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(u64::try_from(shutdown_s).unwrap_or(u64::MAX))
    .listen(listener)?;
    Ok(server.run())
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
