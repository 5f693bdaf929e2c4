//! Asterisk's actor against a simulated Asterisk that fails in every way it can.

mod life;
mod requests;
mod socket;

use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use mege_gateway::call::CallId;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Pace, Simulator, SimulatorSettings};

use crate::support::app::{LIMIT, TestApp, paced};
use crate::support::calls::detail;
use crate::support::eventually;

/// A call lasts as long as the test lets it.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A call ends by itself, and not before the test has done something about it.
pub(crate) const BRIEF: Duration = Duration::from_secs(3);

/// A simulator whose calls are answered in a moment and then last until somebody hangs up.
pub(crate) async fn patient() -> Simulator {
    lasting(LONG).await
}

/// A simulator whose calls last so long.
pub(crate) async fn lasting(talk: Duration) -> Simulator {
    let ring = Duration::from_millis(10);
    let give_up = LONG;
    paced(Pace { ring, talk, give_up }).await
}

/// Hangs up behind the gateway's back.
pub(crate) async fn hang_up(simulator: &Simulator, id: CallId) {
    let settings = SimulatorSettings::default();
    let url = format!("http://{}/ari/channels/{id}", simulator.ari_address());
    let request = Client::new()
        .delete(url)
        .basic_auth(settings.user, settings.password);
    let reply = request.send().await.expect("a reply");
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
}

/// How often a request came, as `GET /events`.
pub(crate) fn count(simulator: &Simulator, request: &str) -> u64 {
    let requests = simulator.asterisk().requests();
    requests.get(request).copied().unwrap_or_default()
}

/// Waits for the connection number `connects`.
pub(crate) async fn connected(app: &TestApp, connects: u64) {
    eventually("connected again", LIMIT, async || {
        let detail = detail(app);
        (detail["connects"] == connects && detail["connection"] == "connected").then_some(())
    })
    .await;
}

/// Cuts the event socket, and lets no other be opened.
pub(crate) fn no_event_sockets(simulator: &Simulator) {
    let asterisk = simulator.asterisk();
    asterisk.fail(
        AriOperation::Connect,
        AriFault::ServerError,
        HowOften::UntilCleared,
    );
    asterisk.cut_event_sockets();
}

pub(crate) async fn no_channels(simulator: &Simulator) {
    eventually("no channel is left", LIMIT, async || {
        (simulator.asterisk().live_channels() == 0).then_some(())
    })
    .await;
}
