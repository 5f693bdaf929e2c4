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
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt as _;

use super::access::{AccessControl, KEY_HEADER, enforce};
use super::connection::{
    Connections, HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT, Socket, accept, count_malformed, share_of_worker,
    track_requests,
};
use super::document::Documents;
use super::lifecycle::Lifecycle;
use super::observe::{RequestSpan, observe};
use super::render::render_errors;
use super::routes::{configure, describe};
use super::security_headers::security_headers;
use super::state::AppState;
use super::tls::Tls;
use crate::integrations::Integrations;
use crate::settings::Settings;
use crate::telemetry;

/// How long a browser may keep an answer about origins, in seconds: as the original.
const CORS_MAX_AGE: usize = 3_600;

/// Starts the server on `listener`, with TLS where there is a pair for it. It handles no signals: whoever started it stops it,
/// through its handle.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    settings: &Settings,
    tls: Option<Tls>,
    integrations: Integrations,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
    listener: TcpListener,
) -> io::Result<Server> {
    actix_web::rt::spawn(telemetry::run_upkeep(metrics.clone()));
    let base = settings.http.base_path();
    let document = json!(describe(&base));
    let stores = &integrations.stores;
    let access = AccessControl::new(settings, &document, stores.keys.clone(), stores.audit.clone());
    let access = web::Data::new(access);
    let documents = Documents::new(&document, &base);
    let state = AppState::new(settings, integrations, lifecycle.clone(), metrics, documents);
    let state = web::Data::new(state);
    let origins = settings.http.allowed_origins.clone();
    let shutdown_s = settings.http.shutdown_timeout().as_millis().div_ceil(1_000);
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let share = share_of_worker();
    let server = Server::build()
        .disable_signals()
        .max_concurrent_connections(share.connections())
        .shutdown_timeout(u64::try_from(shutdown_s).unwrap_or(u64::MAX))
        // Once for each worker.
        .listen("http", listener, move || {
            let connections = Rc::new(Connections::new(share));
            actix_web::rt::spawn(Rc::clone(&connections).check_timeouts(lifecycle.clone()));
            let acceptor = acceptor.clone();
            let access = access.clone();
            let own_api: Rc<str> = format!("{base}/v1/").into();
            let app = App::new()
                .into_utoipa_app()
                .app_data(state.clone())
                .configure(|config| configure(&base, config))
                .into_app()
                .wrap(from_fn(move |request, next| {
                    enforce(access.clone(), request, next)
                }))
                .wrap(from_fn(move |request, next| {
                    render_errors(own_api.clone(), request, next)
                }))
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
