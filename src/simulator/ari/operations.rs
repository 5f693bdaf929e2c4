//! What requests do.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::channel::{Channel, reason_cause};
use super::event::{ASTERISK_ID, Event, date};
use super::exchange::Exchange;
use super::originate::originate;
use super::parameters::Parameters;
use super::route::Route;
use super::state::bridge_json;
use super::{applications, reply};

pub(super) fn carry_out(
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
        Route::Endpoint(resource) if exchange.state().trunks.contains(resource) => reply::ok(&json!({
            "technology": "PJSIP", "resource": resource, "state": "unknown", "channel_ids": [],
        })),
        Route::Endpoint(_) => reply::not_found("Endpoint not found"),
        Route::Application(name) => applications::show(exchange, name),
        Route::Subscription(name) if method == Method::DELETE => {
            applications::unsubscribe(exchange, name, parameters)
        }
        Route::Subscription(name) => applications::subscribe(exchange, name, parameters),
        Route::EventFilter(name) => applications::set_filter(exchange, name, parameters),
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
