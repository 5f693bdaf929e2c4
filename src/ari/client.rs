//! ARI's REST interface, as far as the gateway uses it.

use std::rc::Rc;
use std::time::Duration;

use awc::error::SendRequestError;
use awc::http::{Method, StatusCode};
use awc::{Client, ClientRequest, Connector};
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::error::{ALLOCATION_FAILED, AriError, OriginateError};
use super::event::{Application, Bridge, Channel};
use super::messages::Originate;
use crate::http_client::{SEGMENT, never_connected};
use crate::printable::one_line;
use crate::settings::AsteriskSettings;

/// Asterisk closes a connection that was idle for 15 s (`session_keep_alive`): ours are gone before.
const IDLE: Duration = Duration::from_secs(10);

/// How long a TCP connection may take at most; and half of a request's time at most, so that a request that was never
/// sent is known as such.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer that is read. A channel takes about 1 kB.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Events that a call's life does not depend on: 53 of 82 of a bridged call are `ChannelVarset` alone.
pub(super) const FILTERED_EVENTS: [&str; 9] = [
    "BridgeCreated",
    "BridgeDestroyed",
    "ChannelLeftBridge",
    "ChannelVarset",
    "ChannelDialplan",
    "ChannelCallerId",
    "ChannelConnectedLine",
    "EndpointStateChange",
    "DeviceStateChanged",
];

/// What Asterisk is told of a call to place, in ARI's names: its `extension` is the one of the dialplan that the answered
/// channel goes on to, so the number to dial. Ours is in the endpoint. Times are in seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginateBody<'a> {
    endpoint: String,
    extension: &'a str,
    context: String,
    caller_id: &'a str,
    timeout: u32,
}

/// A client of one Asterisk. It belongs to the thread it was made on.
#[derive(Clone)]
pub(super) struct AriClient {
    client: Client,
    settings: Rc<AsteriskSettings>,
    /// Where ARI is, such as `http://127.0.0.1:8088/ari`.
    url: Rc<str>,
}

impl AriClient {
    pub(super) fn new(settings: &AsteriskSettings) -> Self {
        let connector = Connector::new()
            .timeout(CONNECT_TIMEOUT.min(settings.request_timeout() / 2))
            .conn_keep_alive(IDLE)
            // One of them is the event socket, which has a client of its own.
            .limit(settings.connections() - 1);
        let client = Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .basic_auth(&settings.user, Some(settings.password.expose_secret()))
            .finish();
        Self {
            client,
            url: settings.ari_url().into(),
            settings: Rc::new(settings.clone()),
        }
    }

    /// Asks Asterisk to place a call, with the call's id as the channel's. Sent once, never again. The channel is
    /// none where Asterisk took the call but its answer could not be read.
    ///
    /// # Errors
    /// [`AriError::OutcomeUnknown`] or [`AriError::NoAnswer`] whenever Asterisk may have acted; any other means that it surely did not.
    pub(super) async fn originate(
        &self,
        message: &Originate,
        limit: Instant,
    ) -> Result<Option<Channel>, AriError> {
        let body = OriginateBody {
            endpoint: format!("PJSIP/{}@{}", message.extension, self.settings.trunk),
            extension: message.number.as_str(),
            context: self.settings.context.to_string(),
            caller_id: message.number.as_str(),
            timeout: self.settings.ring_timeout_s,
        };
        let request = self
            .request(Method::POST, &["channels", &message.call_id.to_string()])
            .send_json(&body);
        let Ok(sent) = timeout_at(limit, request).await else {
            return Err(AriError::NoAnswer);
        };
        let mut answer = sent.map_err(|error| unanswered(&error))?;
        let status = answer.status();
        // The status is the answer. The body only helps to explain a refusal, and to keep the connection.
        let body = timeout_at(limit, answer.body().limit(MAX_ANSWER)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        if status.is_success() {
            return Ok(serde_json::from_slice(&body).ok());
        }
        let message = error_message(&body);
        match status {
            StatusCode::UNAUTHORIZED => Err(AriError::Unauthorized),
            // Asterisk's own 500 for an originate; any other may come from something in between that gave up.
            StatusCode::INTERNAL_SERVER_ERROR if message == ALLOCATION_FAILED => Err(AriError::Rejected {
                status: status.as_u16(),
                message,
            }),
            // The id was made for this one request: where it exists already, something sent the request twice.
            StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT => {
                Err(AriError::OutcomeUnknown(format!("answered {status}")))
            }
            status if status.is_client_error() => Err(AriError::Rejected {
                status: status.as_u16(),
                message,
            }),
            _ => Err(AriError::OutcomeUnknown(format!("answered {status}"))),
        }
    }

    /// Ends a channel, and so the call that it is part of: the dialplan ends its other leg. It may be sent again. Says
    /// whether there was such a channel.
    pub(super) async fn hang_up(&self, channel: &str, deadline: Instant) -> Result<bool, AriError> {
        let request = self.request(Method::DELETE, &["channels", channel]);
        let ended = self.exchange(request, None, self.limit(deadline)).await;
        Ok(found(ended)?.is_some())
    }

    /// One channel, if there is such a one.
    pub(super) async fn channel(&self, id: &str) -> Result<Option<Channel>, AriError> {
        found(self.read(self.request(Method::GET, &["channels", id])).await)
    }

    /// Every channel.
    pub(super) async fn channels(&self) -> Result<Vec<Channel>, AriError> {
        self.read(self.request(Method::GET, &["channels"])).await
    }

    /// Every bridge.
    pub(super) async fn bridges(&self) -> Result<Vec<Bridge>, AriError> {
        self.read(self.request(Method::GET, &["bridges"])).await
    }

    /// Asterisk's version, such as `22.10.1`.
    pub(super) async fn version(&self) -> Result<String, AriError> {
        let info: Value = self
            .read(self.request(Method::GET, &["asterisk", "info"]))
            .await?;
        let version = info.pointer("/system/version").and_then(Value::as_str);
        let version =
            version.ok_or_else(|| AriError::OutcomeUnknown("no version in asterisk/info".to_owned()))?;
        // It is shown: what comes from outside has a bound.
        Ok(one_line(version).chars().take(64).collect())
    }

    /// Our application with its subscriptions.
    pub(super) async fn application(&self, app: &str) -> Result<Application, AriError> {
        self.read(self.request(Method::GET, &["applications", app])).await
    }

    /// Subscribes the application to the trunk: to everything its channels do, but for entering bridges. Says whether
    /// Asterisk has such an endpoint.
    pub(super) async fn subscribe_trunk(&self, app: &str) -> Result<bool, AriError> {
        match self
            .subscribe(app, &format!("endpoint:{}", self.trunk_endpoint()))
            .await
        {
            Err(AriError::Rejected { status: 422, .. }) => Ok(false),
            subscribed => subscribed.map(|_| true),
        }
    }

    /// Subscribes the application to all bridges: no other subscription tells of a dialplan's bridge.
    pub(super) async fn subscribe_bridges(&self, app: &str) -> Result<Application, AriError> {
        self.subscribe(app, "bridge:").await
    }

    async fn subscribe(&self, app: &str, source: &str) -> Result<Application, AriError> {
        let request = self
            .request(Method::POST, &["applications", app, "subscription"])
            .query(&[("eventSource", source)])
            .map_err(|error| AriError::RequestNotSent(error.to_string()))?;
        self.read(request).await
    }

    /// Leaves events out that nobody here needs.
    pub(super) async fn filter_events(&self, app: &str) -> Result<Application, AriError> {
        let disallowed: Vec<Value> = FILTERED_EVENTS
            .iter()
            .map(|kind| json!({ "type": kind }))
            .collect();
        let request = self.request(Method::PUT, &["applications", app, "eventFilter"]);
        self.send(request, Some(json!({ "disallowed": disallowed })))
            .await
    }

    /// Whether a channel leads through our trunk.
    pub(super) fn is_through_trunk(&self, channel: &Channel) -> bool {
        let rest = channel.name.strip_prefix(&self.trunk_endpoint());
        rest.is_some_and(|rest| rest.starts_with('-'))
    }

    /// The trunk as ARI names an endpoint.
    pub(super) fn trunk_endpoint(&self) -> String {
        format!("PJSIP/{}", self.settings.trunk)
    }

    async fn read<T: DeserializeOwned>(&self, request: ClientRequest) -> Result<T, AriError> {
        self.send(request, None).await
    }

    /// Sends what may be sent twice, and reads the answer.
    async fn send<T: DeserializeOwned>(
        &self,
        request: ClientRequest,
        body: Option<Value>,
    ) -> Result<T, AriError> {
        let limit = Instant::now() + self.settings.request_timeout();
        let body = self.exchange(request, body, limit).await?;
        // serde's own words may hold a value.
        serde_json::from_slice(&body).map_err(|error| {
            AriError::OutcomeUnknown(format!("{:?} at column {}", error.classify(), error.column()))
        })
    }

    /// Sends what may be sent twice, and reads the body of a success.
    async fn exchange(
        &self,
        request: ClientRequest,
        body: Option<Value>,
        limit: Instant,
    ) -> Result<Bytes, AriError> {
        let exchange = async {
            let sent = match body {
                Some(body) => request.send_json(&body).await,
                None => request.send().await,
            };
            let mut answer = sent.map_err(|error| unanswered(&error))?;
            let body = answer
                .body()
                .limit(MAX_ANSWER)
                .await
                .map_err(|error| AriError::OutcomeUnknown(error.to_string()))?;
            match answer.status() {
                StatusCode::UNAUTHORIZED => Err(AriError::Unauthorized),
                status if status.is_success() => Ok(body),
                status => Err(AriError::Rejected {
                    status: status.as_u16(),
                    message: error_message(&body),
                }),
            }
        };
        timeout_at(limit, exchange)
            .await
            .unwrap_or(Err(AriError::NoAnswer))
    }

    fn request(&self, method: Method, path: &[&str]) -> ClientRequest {
        let mut url = self.url.to_string();
        for segment in path {
            url.push('/');
            url.extend(utf8_percent_encode(segment, SEGMENT));
        }
        self.client.request(method, url)
    }

    /// The caller's deadline, or our own if that is sooner.
    fn limit(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.settings.request_timeout())
    }
}

/// What an exchange without an answer means.
fn unanswered(error: &SendRequestError) -> AriError {
    if never_connected(error) {
        AriError::RequestNotSent(error.to_string())
    } else {
        AriError::OutcomeUnknown(error.to_string())
    }
}

/// What Asterisk may not have: none where it says so.
fn found<T>(answer: Result<T, AriError>) -> Result<Option<T>, AriError> {
    match answer {
        Err(AriError::Rejected { status: 404, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Asterisk's words in an answer: `{"message": …}` or `{"error": …}`.
fn error_message(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = value
        .get("message")
        .or_else(|| value.get("error"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    one_line(text).chars().take(200).collect()
}

/// Tries an Asterisk: whether it answers, knows our user, and has the trunk. Says its version.
///
/// # Errors
/// What an originate would meet.
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn probe(settings: &AsteriskSettings) -> Result<String, OriginateError> {
    let client = AriClient::new(settings);
    let version = client.version().await?;
    let trunk = client.request(Method::GET, &["endpoints", "PJSIP", &settings.trunk.to_string()]);
    match found(client.read::<Value>(trunk).await)? {
        Some(_) => Ok(format!("Asterisk {version}")),
        None => Err(OriginateError::UnknownTrunk(settings.trunk.to_string())),
    }
}

#[cfg(test)]
mod tests;
