//! Requests to ARI, one after the other as Asterisk checks them.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, UPGRADE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::sleep;
use tonic::metadata::{Binary, MetadataValue};

use super::application::{ALL_BRIDGES, Source};
use super::channel::{Channel, reason_cause};
use super::event::{ASTERISK_ID, Event, date};
use super::exchange::{Exchange, bridge_json};
use super::faults::AriFault;
use super::originate::originate;
use super::parameters::Parameters;
use super::reply;
use super::route::Route;
use super::socket::{Wire, open};

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
    match fault {
        Some(AriFault::Hang) => std::future::pending().await,
        Some(AriFault::ServerError) => return Ok(HttpResponse::InternalServerError().body("<html>oops")),
        Some(AriFault::Delay(_) | AriFault::LoseAnswer) | None => {}
    }
    let wire = request.conn_data::<Wire>().cloned();
    let response = if route == Route::Events {
        connect(&exchange, &request, body)?
    } else {
        obey(&exchange, &route, &request, body).await?
    };
    match fault {
        Some(AriFault::Delay(delay)) => sleep(delay).await,
        Some(AriFault::LoseAnswer) => {
            if let Some(wire) = wire {
                wire.cut();
            }
        }
        Some(AriFault::Hang | AriFault::ServerError) | None => {}
    }
    Ok(response)
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
        Ok(parameters) => carry_out(exchange, request.method(), route, &parameters),
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

fn carry_out(
    exchange: &Arc<Exchange>,
    method: &Method,
    route: &Route,
    parameters: &Parameters,
) -> HttpResponse {
    match route {
        Route::Info => reply::ok(&json!({
            "build": { "os": "Linux", "kernel": "6.1", "machine": "x86_64", "options": "", "date": "", "user": "" },
            "system": { "version": "22.10.1", "entity_id": ASTERISK_ID },
            "config": { "name": "", "default_language": "en" },
            "status": { "startup_time": date(Timestamp::now()), "last_reload_time": date(Timestamp::now()) },
        })),
        Route::Ping => reply::ok(&json!({
            "ping": "pong", "timestamp": date(Timestamp::now()), "asterisk_id": ASTERISK_ID,
        })),
        Route::Channels if method == Method::POST => originate(exchange, None, parameters),
        Route::Channels => {
            let state = exchange.state();
            reply::ok(&state.channels.values().map(Channel::to_json).collect())
        }
        Route::Channel(id) if method == Method::POST => originate(exchange, Some(id), parameters),
        Route::Channel(id) if method == Method::DELETE => hang_up(exchange, id, parameters),
        Route::Channel(id) => match exchange.state().channels.get(id) {
            Some(channel) => reply::ok(&channel.to_json()),
            None => reply::not_found("Channel not found"),
        },
        Route::ChannelOperation(id) => match exchange.state().channels.get(id) {
            Some(channel) if channel.in_stasis => reply::error(
                StatusCode::NOT_IMPLEMENTED,
                "The simulator only originates and hangs up",
            ),
            Some(_) => reply::conflict("Channel not in Stasis application"),
            None => reply::not_found("Channel not found"),
        },
        Route::Bridges => {
            let state = exchange.state();
            let bridges = state.bridges.iter();
            reply::ok(&bridges.map(|(id, channels)| bridge_json(id, channels)).collect())
        }
        Route::Application(name) | Route::Subscription(name) | Route::EventFilter(name) => {
            application(exchange, method, route, name, parameters)
        }
        // A socket is not opened here.
        Route::Events => reply::not_found("Resource not found"),
    }
}

fn hang_up(exchange: &Exchange, id: &str, parameters: &Parameters) -> HttpResponse {
    let cause = match (parameters.get("reason"), parameters.get("reason_code")) {
        (Some(_), Some(_)) => {
            return reply::bad_request("The reason and reason_code can't both be specified");
        }
        (Some(reason), None) => reason_cause(reason),
        (None, Some(code)) => code.parse().ok().filter(|code| (1..=127).contains(code)),
        (None, None) => Some(16),
    };
    let Some(cause) = cause else {
        return reply::bad_request("Invalid Reason");
    };
    let mut state = exchange.state();
    let Some(channel) = state.channels.get_mut(id) else {
        return reply::not_found("Channel not found");
    };
    channel.hangup_cause = Some(cause);
    channel.hangup.cancel();
    state.tell(id, Event::new("ChannelHangupRequest").with("cause", 32));
    reply::no_content()
}

fn application(
    exchange: &Exchange,
    method: &Method,
    route: &Route,
    name: &str,
    parameters: &Parameters,
) -> HttpResponse {
    let mut state = exchange.state();
    let channels: Vec<String> = state.channels.keys().cloned().collect();
    let bridges: Vec<String> = state.bridges.keys().cloned().collect();
    let Some(application) = state.applications.get_mut(name) else {
        return reply::not_found("Application not found");
    };
    match route {
        Route::EventFilter(_) => {
            let body = parameters.body.as_ref().unwrap_or(&Value::Null);
            if !application.set_filter(body) {
                return reply::bad_request("Invalid event type filter");
            }
        }
        Route::Subscription(_) => {
            let Some(sources) = parameters.get("eventSource") else {
                return reply::bad_request("Missing parameter eventSource");
            };
            let known = |source: &Source| match source {
                Source::Channel(id) => channels.contains(id),
                Source::Bridge(id) => id == ALL_BRIDGES || bridges.contains(id),
                Source::Endpoint(id) => {
                    let trunks = &exchange.settings.trunks;
                    id.strip_prefix("PJSIP/")
                        .is_some_and(|id| trunks.iter().any(|trunk| trunk == id))
                }
            };
            for source in sources.split(',') {
                let Some(source) = event_source(source) else {
                    return reply::bad_request("Invalid event source URI scheme");
                };
                let found = if method == Method::DELETE {
                    application.unsubscribe(source)
                } else {
                    let known = known(&source);
                    if known {
                        application.subscribe(source);
                    }
                    known
                };
                if !found {
                    return reply::error(StatusCode::UNPROCESSABLE_ENTITY, "Event source does not exist");
                }
            }
        }
        Route::Info
        | Route::Ping
        | Route::Channels
        | Route::Channel(_)
        | Route::ChannelOperation(_)
        | Route::Bridges
        | Route::Application(_)
        | Route::Events => {}
    }
    reply::ok(&application.to_json(name))
}

fn event_source(text: &str) -> Option<Source> {
    let (scheme, id) = text.split_once(':')?;
    match scheme {
        "channel" => Some(Source::Channel(id.to_owned())),
        "bridge" if id.is_empty() => Some(Source::Bridge(ALL_BRIDGES.to_owned())),
        "bridge" => Some(Source::Bridge(id.to_owned())),
        "endpoint" => Some(Source::Endpoint(id.to_owned())),
        _ => None,
    }
}
