//! The simulator over its sockets.

mod ari;
mod calls;
mod faults;
mod pac;
mod replies;
mod requests;
mod sessions;
mod sql;
mod storm;

use std::time::Duration;

use awc::error::WsProtocolError;
use awc::ws::{Frame, Message};
use futures_util::{Sink, Stream, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tonic::transport::Channel;

use super::{Pace, Simulator, SimulatorSettings};
use crate::cdr::{Cdr, Column, Kind, SourceRow as _};
use crate::pac::proto::sql::SqlRequest;
use crate::pac::proto::sql::sql_service_pbx_service_client::SqlServicePbxServiceClient;

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// A connection to PAC.
async fn channel(simulator: &Simulator) -> Channel {
    let address = format!("http://{}", simulator.pac_address());
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

/// The result and the error.
async fn execute(simulator: &Simulator, sql: &str) -> Result<(String, String), tonic::Status> {
    let mut client =
        SqlServicePbxServiceClient::new(channel(simulator).await).max_decoding_message_size(4 << 20);
    let query = sql.to_owned();
    let reply = client.execute_sql(SqlRequest { query }).await?.into_inner();
    Ok((reply.result, reply.error))
}

/// The rows of a statement that succeeds.
async fn rows(simulator: &Simulator, sql: &str) -> Vec<Vec<String>> {
    let (result, error) = execute(simulator, sql).await.unwrap();
    assert_eq!(error, "");
    serde_json::from_str(&result).unwrap()
}

/// The expressions that turn a row into text on PostgreSQL and here.
fn row_expression(columns: &[Column]) -> String {
    let columns = columns.iter().map(|Column { name, kind }| match kind {
        Kind::Moment => format!("CAST(CAST(round(date_part('epoch', {name}) * 1000000) AS bigint) AS text)"),
        Kind::Id | Kind::Text | Kind::Flag | Kind::Integer => format!("CAST({name} AS text)"),
    });
    let columns: Vec<_> = columns.collect();
    format!("CAST(json_build_array({}) AS text)", columns.join(", "))
}

/// All legs, as a collector reads them.
async fn collected(simulator: &Simulator) -> Vec<Cdr> {
    let sql = format!(
        "SELECT {} FROM cdroutput ORDER BY cdr_id",
        row_expression(Cdr::COLUMNS)
    );
    let rows = rows(simulator, &sql).await;
    rows.iter()
        .map(|row| Cdr::from_source(&row[0]).unwrap())
        .collect()
}
