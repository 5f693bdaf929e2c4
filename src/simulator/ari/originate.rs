//! `POST /channels` and `POST /channels/{id}`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::application::Source;
use super::call::{Call, Then};
use super::exchange::{Exchange, NewChannel};
use super::faults::ReceivedOriginate;
use super::parameters::Parameters;
use super::reply;

/// The longest id of a channel.
const MAX_ID: usize = 149;

/// How long to ring when it is not said.
const DEFAULT_TIMEOUT_S: u64 = 30;

pub(super) fn originate(exchange: &Arc<Exchange>, id: Option<&str>, parameters: &Parameters) -> HttpResponse {
    let get = |name| parameters.get(name);
    let owned = |name| get(name).map(str::to_owned);
    let id = id.or_else(|| get("channelId"));
    exchange.journal.originate(ReceivedOriginate {
        at: Timestamp::now(),
        channel_id: id.map(str::to_owned),
        endpoint: owned("endpoint").unwrap_or_default(),
        app: owned("app"),
        extension: owned("extension"),
        context: owned("context"),
        caller_id: owned("callerId"),
        timeout: owned("timeout"),
    });

    if id.is_some_and(|id| id.len() > MAX_ID) {
        return reply::bad_request(&format!("Uniqueid length exceeds maximum of {MAX_ID}"));
    }
    let Some(endpoint) = get("endpoint") else {
        return reply::bad_request("Endpoint must be specified");
    };
    let dialled = endpoint
        .split_once('/')
        .filter(|(technology, resource)| !technology.is_empty() && !resource.is_empty());
    let Some((technology, resource)) = dialled else {
        return reply::bad_request("Invalid endpoint specified");
    };
    // An application wins over an extension, and the extension is never dialled.
    let then = match (get("app"), get("extension")) {
        (Some(app), _) => Then::Stasis {
            app: app.to_owned(),
            args: get("appArgs").unwrap_or_default().to_owned(),
        },
        (None, Some(extension)) => Then::Dial(extension.to_owned()),
        (None, None) => return reply::bad_request("Application or extension must be specified"),
    };
    if parameters.variables().is_none() {
        return reply::bad_request("Variables must be strings");
    }
    let Some((party, trunk)) = reach(exchange, technology, resource) else {
        return reply::allocation_failed();
    };

    let unique = exchange.unique_id();
    let hangup = CancellationToken::new();
    let caller_id = get("callerId").unwrap_or_default();
    let context = get("context").unwrap_or("default");
    let channel = exchange.create(NewChannel {
        id: id.unwrap_or(&unique),
        trunk: &trunk,
        caller_id,
        context,
        exten: get("extension").unwrap_or("s"),
        hangup: hangup.clone(),
    });
    let Some(channel) = channel else {
        return reply::conflict("Channel with given unique ID already exists");
    };
    if let Then::Stasis { app, .. } = &then {
        // Only after the channel was created: its own ChannelCreated is missed.
        let source = Source::Channel(channel.id.clone());
        if let Some(application) = exchange.state().applications.get_mut(app) {
            application.subscribe(source);
        }
    }
    let answer = reply::ok(&channel.to_json());
    let call = Call {
        exchange: Arc::clone(exchange),
        first: channel.id,
        trunk,
        party,
        caller_id: caller_id.to_owned(),
        context: context.to_owned(),
        timeout: timeout(get("timeout")),
        then,
        hangup,
    };
    exchange.runtime.spawn(call.run());
    answer
}

/// Who is called, and by which trunk; None when Asterisk cannot.
fn reach(exchange: &Exchange, technology: &str, resource: &str) -> Option<(String, String)> {
    let (party, trunk) = resource.rsplit_once('@')?;
    let known = exchange.state().trunks.contains(trunk);
    (technology == "PJSIP" && known && !party.is_empty()).then(|| (party.to_owned(), trunk.to_owned()))
}

/// None: without end.
fn timeout(text: Option<&str>) -> Option<Duration> {
    match text.map(str::parse::<i64>) {
        Some(Ok(-1)) => None,
        Some(Ok(seconds)) if seconds > 0 => Some(Duration::from_secs(seconds.unsigned_abs())),
        Some(_) | None => Some(Duration::from_secs(DEFAULT_TIMEOUT_S)),
    }
}
