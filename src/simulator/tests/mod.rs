//! The simulator over its sockets.

mod ari;
mod faults;
mod pac;

use std::time::Duration;

use awc::error::WsProtocolError;
use awc::ws::{Frame, Message};
use futures_util::{Sink, Stream, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;

use super::{Pace, Simulator, SimulatorSettings};

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

type Received = Result<Frame, WsProtocolError>;

fn brisk() -> SimulatorSettings {
    SimulatorSettings {
        pace: Pace::brisk(),
        recording_delay: Duration::from_millis(10),
        ..SimulatorSettings::default()
    }
}

async fn start(settings: SimulatorSettings) -> Simulator {
    Simulator::start(settings).await.unwrap()
}

fn url(simulator: &Simulator, path: &str) -> String {
    format!("http://{}/ari/{path}", simulator.ari_address())
}

fn request(simulator: &Simulator, method: &str, path: &str) -> awc::ClientRequest {
    let method = method.parse().unwrap();
    awc::Client::default()
        .request(method, url(simulator, path))
        .basic_auth("simulator", "simulator")
        .timeout(PATIENCE)
}

/// Status and JSON; null for an empty body.
async fn ask(simulator: &Simulator, method: &str, path: &str) -> (u16, Value) {
    read(request(simulator, method, path).send().await.unwrap()).await
}

async fn ask_with(simulator: &Simulator, method: &str, path: &str, body: &Value) -> (u16, Value) {
    read(request(simulator, method, path).send_json(body).await.unwrap()).await
}

async fn read<S>(mut response: awc::ClientResponse<S>) -> (u16, Value)
where
    S: Stream<Item = Result<actix_web::web::Bytes, awc::error::PayloadError>> + Unpin,
{
    let body = response.body().await.unwrap();
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (response.status().as_u16(), value)
}

async fn connect(
    simulator: &Simulator,
    query: &str,
) -> impl Stream<Item = Received> + Sink<Message, Error = WsProtocolError> + Unpin + use<> {
    let (_, socket) = awc::Client::default()
        .ws(url(simulator, &format!("events?{query}")))
        .basic_auth("simulator", Some("simulator"))
        .connect()
        .await
        .unwrap();
    socket
}

/// The next event; None when the connection is closed.
async fn event(socket: &mut (impl Stream<Item = Received> + Unpin)) -> Option<Value> {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Frame::Text(text))) => return Some(serde_json::from_slice(&text).unwrap()),
            Some(Ok(Frame::Close(_)) | Err(_)) | None => return None,
            Some(Ok(Frame::Binary(_) | Frame::Continuation(_) | Frame::Ping(_) | Frame::Pong(_))) => {}
        }
    }
}

/// All events until one that `is_last` says so of.
async fn events_until(
    socket: &mut (impl Stream<Item = Received> + Unpin),
    is_last: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = event(socket).await.unwrap();
        let last = is_last(&event);
        events.push(event);
        if last {
            return events;
        }
    }
}

/// Whether an event is the end of a channel.
fn destroys(id: &str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "ChannelDestroyed" && event["channel"]["id"] == id
}

/// Waits until a condition holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the condition should hold in time");
}
