//! Requests about applications.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::Value;

use super::application::{ALL_BRIDGES, Application, Source};
use super::exchange::Exchange;
use super::parameters::Parameters;
use super::reply;
use super::state::State;

pub(super) fn show(exchange: &Exchange, name: &str) -> HttpResponse {
    change(exchange, name, |_| Ok(()))
}

pub(super) fn set_filter(exchange: &Exchange, name: &str, parameters: &Parameters) -> HttpResponse {
    let body = parameters.body.as_ref().unwrap_or(&Value::Null);
    change(exchange, name, |application| {
        if application.set_filter(body) {
            Ok(())
        } else {
            Err(Box::new(reply::bad_request("Invalid event type filter")))
        }
    })
}

pub(super) fn subscribe(exchange: &Exchange, name: &str, parameters: &Parameters) -> HttpResponse {
    let sources = sources(parameters);
    // Checked first: a request with one source that does not exist subscribes to none.
    let known = {
        let state = exchange.state();
        let sources = sources.as_ref().map(Vec::as_slice).unwrap_or_default();
        sources.iter().all(|source| exists(&state, source))
    };
    change(exchange, name, |application| {
        let sources = sources?;
        if !known {
            return Err(Box::new(no_source()));
        }
        sources
            .into_iter()
            .for_each(|source| application.subscribe(source));
        Ok(())
    })
}

pub(super) fn unsubscribe(exchange: &Exchange, name: &str, parameters: &Parameters) -> HttpResponse {
    change(exchange, name, |application| {
        for source in sources(parameters)? {
            if !application.unsubscribe(source) {
                return Err(Box::new(no_source()));
            }
        }
        Ok(())
    })
}

/// Changes an application and shows it.
fn change(
    exchange: &Exchange,
    name: &str,
    change: impl FnOnce(&mut Application) -> Result<(), Box<HttpResponse>>,
) -> HttpResponse {
    let mut state = exchange.state();
    let Some(application) = state.applications.get_mut(name) else {
        return reply::not_found("Application not found");
    };
    match change(application) {
        Ok(()) => reply::ok(&application.to_json(name)),
        Err(refusal) => *refusal,
    }
}

fn exists(state: &State, source: &Source) -> bool {
    match source {
        Source::Channel(id) => state.channels.contains_key(id),
        Source::Bridge(id) => id == ALL_BRIDGES || state.bridges.contains_key(id),
        Source::Endpoint(id) => id
            .strip_prefix("PJSIP/")
            .is_some_and(|id| state.trunks.contains(id)),
    }
}

fn sources(parameters: &Parameters) -> Result<Vec<Source>, Box<HttpResponse>> {
    let Some(sources) = parameters.get("eventSource") else {
        return Err(Box::new(reply::bad_request("Missing parameter eventSource")));
    };
    let sources: Option<Vec<_>> = sources.split(',').map(source).collect();
    sources.ok_or_else(|| Box::new(reply::bad_request("Invalid event source URI scheme")))
}

fn source(text: &str) -> Option<Source> {
    let (scheme, id) = text.split_once(':')?;
    match scheme {
        "channel" => Some(Source::Channel(id.to_owned())),
        "bridge" if id.is_empty() => Some(Source::Bridge(ALL_BRIDGES.to_owned())),
        "bridge" => Some(Source::Bridge(id.to_owned())),
        "endpoint" => Some(Source::Endpoint(id.to_owned())),
        _ => None,
    }
}

fn no_source() -> HttpResponse {
    reply::error(StatusCode::UNPROCESSABLE_ENTITY, "Event source does not exist")
}
