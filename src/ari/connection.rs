//! The connection to one Asterisk: opening it, and where it stands.

use actix_rt::task::JoinHandle;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::{AriClient, FILTERED_EVENTS};
use super::error::{AriError, OriginateError};
use super::event::{Application, Bridge, Channel};
use super::socket::{self, Received};
use crate::actor::{Health, spawn_detached};
use crate::call::LiveCount;
use crate::settings::AsteriskSettings;

/// How an application shows its subscription to all bridges (`res/stasis/app.c`, `BRIDGE_ALL`).
const ALL_BRIDGES: &str = "__AST_BRIDGE_ALL_TOPIC";

/// Where the connection stands.
///
/// `Connecting → Connected → Waiting → Connecting`, and `Connected → Replaced` until that socket closes. From each of them `→ Left`.
#[derive(Debug, Clone)]
pub(super) enum Connection {
    /// The socket is being opened, subscribed and resynchronised.
    Connecting,
    /// Events arrive.
    Connected,
    /// It failed or was lost; the next try waits for the back-off.
    Waiting(OriginateError),
    /// Another gateway took our application over. We do not fight for it.
    Replaced,
    /// The gateway stops: nothing is opened any more.
    Left,
}

impl Connection {
    /// Whether a call placed now would be seen.
    pub(super) fn ready(&self) -> Result<(), OriginateError> {
        let not_connected = |why: &str| Err(OriginateError::NotConnected(why.to_owned()));
        match self {
            Self::Connected => Ok(()),
            Self::Connecting => not_connected("connecting"),
            Self::Waiting(error) => Err(error.clone()),
            Self::Replaced => not_connected("another gateway took our application over"),
            Self::Left => not_connected("the gateway stops"),
        }
    }

    /// Its name on `/status`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting(_) => "waiting",
            Self::Replaced => "replaced",
            Self::Left => "left",
        }
    }
}

/// What `/status` shows of an Asterisk.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Detail {
    pub(super) connection: &'static str,
    pub(super) since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
    pub(super) trunk: String,
    /// None: not asked yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trunk_known: Option<bool>,
    pub(super) open_calls: usize,
    pub(super) live_calls: LiveCount,
    pub(super) connects: u64,
    /// Asterisk's; none before it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A connection just opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) frames: mpsc::Receiver<Received>,
    /// What fills it. It ends when the socket has.
    pub(super) reader: JoinHandle<()>,
    /// The same queue, to see how full it is.
    pub(super) queue: mpsc::WeakSender<Received>,
    /// Whether Asterisk knows the trunk.
    pub(super) trunk_known: bool,
    pub(super) snapshot: Snapshot,
}

/// Everything that lives on an Asterisk.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) channels: Vec<Channel>,
    pub(super) bridges: Vec<Bridge>,
    /// Before this, nothing of it was asked.
    pub(super) asked_at: Instant,
}

/// Opens the socket, sets subscription and filter, and reads what lives there. Events count from the first step:
/// they wait in the queue.
pub(super) async fn open(
    client: AriClient,
    settings: AsteriskSettings,
    app: String,
    health: Health,
) -> Result<Opened, AriError> {
    let socket = socket::open(&settings, &app).await?;
    let (sender, frames) = socket::queue();
    let queue = sender.downgrade();
    // Given up half-way, `frames` is dropped, and the reader closes the socket.
    let reader = spawn_detached(
        &health,
        "event socket",
        socket::reader(socket, sender, health.name().to_owned()),
    );
    let shown = client.application(&app).await?;
    let trunk_known = subscribe(&client, &app, &shown).await?;
    let filtered = |kind: &&str| shown.events_disallowed.iter().any(|shown| shown.name == **kind);
    if !FILTERED_EVENTS.iter().all(filtered) {
        client.filter_events(&app).await?;
    }
    let snapshot = snapshot(client).await?;
    Ok(Opened {
        frames,
        reader,
        queue,
        trunk_known,
        snapshot,
    })
}

/// Looks again for a trunk that Asterisk did not know.
pub(super) async fn look_for_trunk(client: AriClient, app: String) -> Result<bool, AriError> {
    let shown = client.application(&app).await?;
    subscribe(&client, &app, &shown).await
}

/// Subscribes to the trunk and to bridges, unless subscriptions have outlived an earlier socket. Says whether Asterisk knows
/// the trunk.
async fn subscribe(client: &AriClient, app: &str, subscribed: &Application) -> Result<bool, AriError> {
    if !subscribed.bridge_ids.iter().any(|id| id == ALL_BRIDGES) {
        client.subscribe_bridges(app).await?;
    }
    Ok(subscribed.endpoint_ids.contains(&client.trunk_endpoint()) || client.subscribe_trunk(app).await?)
}

/// Reads what lives on Asterisk.
pub(super) async fn snapshot(client: AriClient) -> Result<Snapshot, AriError> {
    let asked_at = Instant::now();
    Ok(Snapshot {
        channels: client.channels().await?,
        bridges: client.bridges().await?,
        asked_at,
    })
}
