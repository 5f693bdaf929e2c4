//! A whole gateway in the test's own process, on a simulated PBX unless the test has better.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use awc::http::header::HeaderMap;
use awc::http::{Method, StatusCode};
use awc::{Client, Connector};
use mege_gateway::actor::Placement;
use mege_gateway::call::CallId;
use mege_gateway::integrations::Integrations;
use mege_gateway::settings::{Settings, Sources};
use mege_gateway::simulator::{Pace, Simulator, SimulatorSettings};
use mege_gateway::startup::Application;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{eventually, metrics};

/// A guard, and no promise: what has not come by itself by then, on a machine busy with other things too, never will.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running gateway.
pub(crate) struct TestApp {
    /// `http://…` with the API's prefix.
    pub(crate) root: String,
    /// `http://…` without it.
    pub(crate) origin: String,
    pub(crate) integrations: Integrations,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

/// A reply, read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) headers: HeaderMap,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

/// A simulator whose calls are over in a moment.
pub(crate) async fn simulator() -> Simulator {
    paced(Pace::brisk()).await
}

/// A simulator whose calls go at this pace. It has more patience with a reader than Asterisk has, which closes the socket of one
/// that this machine does not come to for 100 ms.
pub(crate) async fn paced(pace: Pace) -> Simulator {
    let settings = SimulatorSettings {
        pace,
        event_write_timeout: Duration::from_secs(5),
        ..SimulatorSettings::default()
    };
    Simulator::start(settings)
        .await
        .expect("a simulator on free ports")
}

/// The variables that lead a gateway to a simulator.
pub(crate) fn simulated(simulator: &Simulator) -> Vec<(&'static str, String)> {
    let settings = SimulatorSettings::default();
    vec![
        ("ASTERISK_ARI_HOST", simulator.ari_address().ip().to_string()),
        ("ASTERISK_ARI_PORT", simulator.ari_address().port().to_string()),
        ("ASTERISK_ARI_CALL_USER", settings.user),
        ("ASTERISK_ARI_CALL_PASSWORD", settings.password),
        ("ASTERISK_PBX3CX_TRUNK_ID", settings.trunks[0].clone()),
        ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", "outgoing".to_owned()),
        ("PAC_HOST", simulator.pac_address().to_string()),
        ("MEGE__PAC__MAIN__COLLECTOR__INTERVAL_MS", "200".to_owned()),
    ]
}

/// The variables of one more Asterisk, of this name in capitals.
pub(crate) fn simulated_as(name: &str, simulator: &Simulator) -> Vec<(String, String)> {
    let settings = SimulatorSettings::default();
    let address = simulator.ari_address();
    let values = [
        ("HOST", address.ip().to_string()),
        ("PORT", address.port().to_string()),
        ("USER", settings.user),
        ("PASSWORD", settings.password),
        ("TRUNK", settings.trunks[0].clone()),
        ("CONTEXT", "outgoing".to_owned()),
    ];
    values
        .into_iter()
        .map(|(key, value)| (format!("MEGE__ASTERISK__{name}__{key}"), value))
        .collect()
}

impl TestApp {
    /// A gateway with these variables over the defaults, on a free port, with SQLite files of its own unless the
    /// variables say otherwise.
    pub(crate) async fn start(variables: &[(&str, String)]) -> TestApp {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path(), variables);
        let prefix = settings.http.base_path();
        let application = Application::build(settings, Placement::Dedicated)
            .await
            .expect("a start");
        let origin = format!("http://127.0.0.1:{}", application.port());
        let integrations = application.integrations().clone();
        let (stop, stopped) = oneshot::channel();
        let served = actix_rt::spawn(async move {
            let stopped = async { drop(stopped.await) };
            application
                .run_until(stopped)
                .await
                .expect("a server that ends in order");
        });
        let client = client_at(Ipv4Addr::LOCALHOST);
        TestApp {
            root: format!("{origin}{prefix}"),
            origin,
            integrations,
            client,
            stop: Some(stop),
            served,
            _folder: folder,
        }
    }

    /// Asks from another loopback address from here on, as another client would.
    pub(crate) fn come_from(&mut self, address: Ipv4Addr) {
        self.client = client_at(address);
    }

    /// Waits until the Asterisk named `main` can be used.
    pub(crate) async fn connected(&self) {
        let handle = &self.integrations.asterisk["main"];
        eventually("connected to Asterisk", LIMIT, async || {
            let report = handle.health().report();
            (report.usable && report.detail["connection"] == "connected").then_some(())
        })
        .await;
    }

    /// Waits until `/readyz` says that requests may come.
    pub(crate) async fn ready(&self) {
        eventually("ready", LIMIT, async || {
            let ready = self.send(Method::GET, "/readyz", &[], "").await;
            (ready.status == StatusCode::OK).then_some(())
        })
        .await;
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        read(self.client.get(format!("{}{path}", self.root)).send()).await
    }

    /// Asks below no prefix, with any method and headers.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Reply {
        let request = self.client.request(method, format!("{}{path}", self.origin));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.insert_header((*name, *value))
        });
        read(request.send_body(body.into())).await
    }

    /// `/status`, about one actor.
    pub(crate) async fn status_of(&self, actor: &str) -> Value {
        let reply = self.send(Method::GET, "/status", &[], "").await;
        reply.json()["actors"][actor].take()
    }

    /// The sum of a metric's values that have all these labels, such as `actor="asterisk.main"`; none where there is no such
    /// line.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let metrics = self.send(Method::GET, "/metrics", &[], "").await;
        metrics::sum(&metrics.body, name, labels)
    }

    /// The same of what may never have been counted: 0 where there is no such line.
    pub(crate) async fn count(&self, name: &str, labels: &[&str]) -> f64 {
        self.metric(name, labels).await.unwrap_or_default()
    }

    /// Posts a JSON text, whatever it is.
    pub(crate) async fn post(&self, path: &str, body: impl Into<bytes::Bytes>) -> Reply {
        let request = self.client.post(format!("{}{path}", self.root));
        read(request.content_type("application/json").send_body(body.into())).await
    }

    pub(crate) async fn make_call(&self, extension: u64, number: u64) -> Reply {
        let body = format!(r#"{{"source_caller_id":{number},"caller_id":{extension}}}"#);
        self.post("/pbx-api/make-call", body).await
    }

    /// Hangs a call up by the route.
    pub(crate) async fn hang_up(&self, id: CallId) -> Reply {
        read(self.client.delete(format!("{}/v1/calls/{id}", self.root)).send()).await
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.served.await.expect("an end without a panic");
    }
}

/// A client of the gateway with this address.
pub(crate) fn client_at(address: Ipv4Addr) -> Client {
    // As many connections as a test has requests under way.
    let connector = Connector::new().limit(0);
    Client::builder()
        .local_address(address.into())
        .connector(connector)
        .timeout(LIMIT)
        .finish()
}

fn settings(folder: &Path, variables: &[(&str, String)]) -> Settings {
    let store = format!("sqlite:{}", folder.join("mege.sqlite").display());
    let mut environment = BTreeMap::from([
        ("APP_PORT".into(), "0".into()),
        ("DATABASE_URL".into(), store.into()),
        ("MEGE__STORE__TIMEOUT_MS".into(), "60000".into()),
        // Nobody asks whether to send requests here.
        ("MEGE__HTTP__DRAIN_MS".into(), "0".into()),
    ]);
    environment.extend(
        variables
            .iter()
            .map(|(name, value)| ((*name).into(), value.into())),
    );
    let sources = Sources {
        directory: folder.to_owned(),
        file: None,
        environment,
    };
    Settings::load(&sources).expect("settings")
}

pub(super) async fn read(reply: awc::SendClientRequest) -> Reply {
    let mut reply = reply.await.expect("a reply");
    let header = reply
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|value| value.parse().ok());
    let body = reply.body().limit(64 * 1024 * 1024).await.expect("a whole body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    Reply {
        status: reply.status(),
        body,
        retry_after,
        headers: reply.headers().clone(),
    }
}
