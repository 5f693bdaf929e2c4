//! The server around the routes.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use actix_cors::Cors;
use actix_http::HttpService;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt as _;

use super::access::{KEY_HEADER, enforce};
use super::connection::{
    Connections, HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT, Socket, accept, connections_per_worker, count_malformed,
    track_requests,
};
use super::observe::{RequestSpan, observe};
use super::security_headers::security_headers;
use super::tls::Tls;
use super::{AppState, configure};
use crate::settings::HttpSettings;
use crate::telemetry;

/// How long a browser may keep an answer about origins, in seconds: as the original.
const CORS_MAX_AGE: usize = 3_600;

/// Starts the server on `listener`, with TLS if configured. It handles no signals: whoever started it stops it, through its handle.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    settings: &HttpSettings,
    tls: Option<Tls>,
    state: AppState,
    listener: TcpListener,
) -> io::Result<Server> {
    actix_web::rt::spawn(telemetry::keep_up(state.metrics.clone()));
    let state = web::Data::new(state);
    let lifecycle = state.lifecycle.clone();
    let base = settings.base_path();
    let origins = settings.allowed_origins.clone();
    let shutdown_s = settings.shutdown_timeout().as_millis().div_ceil(1_000);
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let server = Server::build()
        .disable_signals()
        .max_concurrent_connections(connections_per_worker())
        .shutdown_timeout(u64::try_from(shutdown_s).unwrap_or(u64::MAX))
        // Once for each worker.
        .listen("http", listener, move || {
            let connections = Rc::<Connections>::default();
            actix_web::rt::spawn(Rc::clone(&connections).check_timeouts(lifecycle.clone()));
            let acceptor = acceptor.clone();
            let (state, base) = (state.clone(), base.clone());
            let app = App::new()
                .into_utoipa_app()
                .app_data(state)
                .configure(|config| configure(&base, config))
                .into_app()
                .wrap(from_fn(enforce))
                .wrap(cors(&origins))
                .wrap(security_headers())
                .wrap(from_fn(observe))
                // Everything within has the request's id.
                .wrap(TracingLogger::<RequestSpan>::new())
                // The last is the outermost: a request ends with the last byte of its response.
                .wrap(from_fn(track_requests))
                .into_factory()
                .map_err(|error| error.error_response());
            let http = HttpService::build()
                .keep_alive(KEEP_ALIVE_TIMEOUT)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(Duration::from_secs(1))
                .on_connect_ext(Socket::attach)
                // `AppConfig` has the server's scheme and host, which nothing here makes links from.
                .h1(map_config(app, |()| AppConfig::default()))
                .map_err(count_malformed);
            fn_service(move |tcp| accept(tcp, acceptor.clone(), Rc::clone(&connections))).and_then(http)
        })?
        .run();
    if let Some(tls) = tls {
        actix_web::rt::spawn(tls.reload_on_change());
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
