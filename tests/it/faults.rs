//! What fails, and what is promised then: for each fault its behaviour and its metric.
//!
//! | fault | shown by |
//! |---|---|
//! | Asterisk refuses connections | [`refused`] |
//! | Asterisk is a black hole | [`black_hole`] |
//! | Asterisk hangs on some operations only | [`partial_stall`] |
//! | Asterisk's limit of sessions | [`session_limit`] |
//! | a half-open event socket | `ari::socket::a_half_open_socket_is_found_…` |
//! | bad frames; a frame that is too large | `ari::socket::frames_that_make_no_sense_…`, `…::a_frame_above_every_bound_…` |
//! | a storm of events | [`event_storm`] |
//! | reconnecting to what stays down | `ari::socket::sockets_that_are_refused_…`; a minute of it beside `src/ari/actor.rs` |
//! | PAC is unavailable, or says GOAWAY | [`pac_away`]; the exact budget beside `src/pac/tests/retries.rs` |
//! | PAC is slow | [`pac_slow`] |
//! | PAC answers 100 MB | [`pac_oversized`] |
//! | an actor panics | `survival` |
//! | an actor panics again and again | [`crash_loop`] |
//! | an actor is restarted by an operator | `restart` |
//! | three times the load there is room for | [`overload`] |
//! | 500 requests wait for what is a black hole | [`bulkhead`], `isolation` |
//! | slow request heads | `hostile::slow_heads` |
//! | SIGTERM under load | `drain` |
//! | the disk is full | [`disk_full`] |
//! | no descriptors are left | `hostile::descriptors` |

mod black_hole;
mod bulkhead;
mod crash_loop;
mod disk_full;
mod event_storm;
mod overload;
mod pac_away;
mod pac_oversized;
mod pac_slow;
mod partial_stall;
mod refused;
mod session_limit;

use awc::http::{Method, StatusCode};
use mege_gateway::simulator::Simulator;

use crate::support::app::{LIMIT, Reply, TestApp, simulated, simulator};
use crate::support::eventually;
use crate::support::fault_proxy::FaultProxy;

const NUMBER: u64 = 79_990_000_001;

/// Labels of the Asterisk's originates.
const ORIGINATE: [&str; 2] = [r#"actor="asterisk.main""#, r#"class="originate""#];

/// A gateway on a simulated PBX, connected to it.
async fn gateway(simulator: &Simulator, more: &[(&str, &str)]) -> TestApp {
    let mut variables = simulated(simulator);
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let app = TestApp::start(&variables).await;
    app.ready().await;
    app.connected().await;
    app
}

/// The same, with a network between it and Asterisk that can fail.
async fn behind_proxy(more: &[(&str, &str)]) -> (Simulator, FaultProxy, TestApp) {
    let simulator = simulator().await;
    let proxy = FaultProxy::start(simulator.ari_address());
    let port = proxy.address().port().to_string();
    let more = [more, &[("ASTERISK_ARI_PORT", port.as_str())]].concat();
    let app = gateway(&simulator, &more).await;
    (simulator, proxy, app)
}

/// What has nothing to do with Asterisk answers as ever.
async fn others_are_served(app: &TestApp) {
    for path in ["/livez", "/readyz", "/status"] {
        let reply = app.send(Method::GET, path, &[], "").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
    }
    let last = app.get("/pbx-api/last-call-id").await;
    assert_eq!(last.status, StatusCode::OK, "{}", last.body);
    let rows = app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await;
    assert_eq!(rows.status, StatusCode::OK, "{}", rows.body);
}

/// How many originates ended like this.
async fn originates(app: &TestApp, outcome: &str) -> f64 {
    let outcome = format!(r#"outcome="{outcome}""#);
    let labels = [
        r#"actor="asterisk.main""#,
        r#"operation="originate""#,
        outcome.as_str(),
    ];
    app.count("mege_ari_requests_total", &labels).await
}

/// The code of an error in the original's shape.
pub(crate) fn code(reply: &Reply) -> String {
    let code = &reply.json()["error"]["code"];
    code.as_str().map(str::to_owned).unwrap_or_default()
}

/// Waits until calls are placed again; the metric says so too.
async fn placed_again(app: &TestApp) {
    eventually("calls are placed again", LIMIT, async || {
        let reply = app.make_call(102, NUMBER).await;
        (reply.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(app.count("mege_circuit_state", &ORIGINATE).await, 0.0);
    assert_eq!(
        app.send(Method::GET, "/status", &[], "").await.json()["status"],
        "ok"
    );
}
