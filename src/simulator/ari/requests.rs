//! Requests to ARI, one after the other as Asterisk checks them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;
use tokio::time::sleep;
use tonic::metadata::{Binary, MetadataValue};

use super::exchange::Exchange;
use super::faults::AriFault;
use super::parameters::Parameters;
use super::route::Route;
use super::socket::{Wire, open};
use super::{operations, reply};

/// The largest body that Asterisk reads.
const MAX_BODY: usize = 40_960;

/// Answers any request.
pub(super) async fn answer(
    exchange: web::Data<Exchange>,
    request: HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let exchange = exchange.into_inner();
    let (method, path) = (request.method().clone(), request.path());
    let Some(path) = path.strip_prefix("/ari/") else {
        return Ok(reply::not_found("Resource not found"));
    };
    let segments: Vec<String> = path.split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let route = Route::of(&segments);
    let template = route.as_ref().map_or("another", Route::template);
    exchange.journal.request(method.as_str(), template);

    if !authorised(&exchange, &request) {
        return Ok(reply::unauthorised());
    }
    if path.ends_with('/') {
        let path = request.path().trim_end_matches('/');
        return Ok(reply::not_found(&format!(
            "ARI URLs do not end with a slash. Try {path}"
        )));
    }
    let Some(route) = route else {
        return Ok(reply::not_found("Resource not found"));
    };
    if !route
        .allowed()
        .split(',')
        .any(|allowed| allowed == method.as_str())
    {
        return Ok(reply::method_not_allowed(route.allowed()));
    }

    let fault = exchange.journal.faults.strike(route.operation(&method));
    let wire = request.conn_data::<Wire>().cloned();
    let (mut late, mut lost, mut instead) = (None, false, None);
    match fault {
        None => {}
        Some(AriFault::Hang) => return hang(wire.as_ref()).await,
        Some(AriFault::ServerError) => return Ok(HttpResponse::InternalServerError().body("<html>oops")),
        Some(AriFault::Delay(delay)) => late = Some(delay),
        Some(AriFault::LoseAnswer) => lost = true,
        Some(AriFault::Body(body)) => instead = Some(reply::pretended(body)),
        Some(AriFault::Oversized(bytes)) => {
            instead = Some(reply::oversized(bytes, Arc::clone(&exchange.journal.oversized)));
        }
    }
    let response = match (&route, instead) {
        (Route::Events, Some(instead)) => return Ok(instead),
        (Route::Events, None) => connect(&exchange, &request, body)?,
        (route, instead) => {
            let response = obey(&exchange, route, &request, body).await?;
            instead.unwrap_or(response)
        }
    };
    if let Some(delay) = late {
        sleep(delay).await;
    }
    if lost && let Some(wire) = wire {
        wire.cut();
    }
    Ok(response)
}

/// Answers nothing for as long as the client waits.
async fn hang(wire: Option<&Wire>) -> actix_web::Result<HttpResponse> {
    match wire {
        Some(wire) => wire.left().await,
        None => std::future::pending().await,
    }
    // Nobody reads this: it frees the connection.
    Ok(HttpResponse::ServiceUnavailable().force_close().finish())
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// A header wins over `api_key`.
fn authorised(exchange: &Exchange, request: &HttpRequest) -> bool {
    let expected = format!("{}:{}", exchange.settings.user, exchange.settings.password);
    if let Some(header) = request.headers().get(AUTHORIZATION) {
        // Of our dependencies, tonic is the one that has Base64. It leaves out the padding.
        let encoded = MetadataValue::<Binary>::from_bytes(expected.as_bytes());
        let given = header
            .to_str()
            .ok()
            .and_then(|header| header.strip_prefix("Basic "));
        return given
            .is_some_and(|given| given.trim_end_matches('=').as_bytes() == encoded.as_encoded_bytes());
    }
    let parameters = Parameters::read(request.query_string(), "", &[]);
    parameters.is_ok_and(|parameters| parameters.get("api_key") == Some(&expected))
}

/// Reads a request and carries it out.
async fn obey(
    exchange: &Arc<Exchange>,
    route: &Route,
    request: &HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let Ok(body) = body.to_bytes_limited(MAX_BODY).await else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(reply::error(status, "Request body too large"));
    };
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let parameters = Parameters::read(request.query_string(), content_type.unwrap_or_default(), &body?);
    Ok(match parameters {
        Ok(parameters) => operations::carry_out(exchange, request.method(), route, &parameters),
        Err(_) => unreadable(),
    })
}

fn unreadable() -> HttpResponse {
    reply::bad_request("Error parsing request body")
}

fn connect(
    exchange: &Arc<Exchange>,
    request: &HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let Ok(parameters) = Parameters::read(request.query_string(), "", &[]) else {
        return Ok(unreadable());
    };
    if !request.headers().contains_key(UPGRADE) {
        return Ok(reply::error(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket upgrade required",
        ));
    }
    let Some(applications) = parameters.get("app") else {
        return Ok(reply::bad_request("HTTP request is missing param: [app]"));
    };
    let applications: Vec<String> = applications.split(',').map(str::to_owned).collect();
    let all = parameters.get("subscribeAll") == Some("true");
    open(exchange, request, body, &applications, all)
}
