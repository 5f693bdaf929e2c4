//! A server on a free port, with the actors that its settings name.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::actor::Placement;
use crate::http::{Lifecycle, serve};
use crate::integrations::Integrations;
use crate::settings::{Settings, Sources};
use crate::simulator::{Pace, Simulator, SimulatorSettings};
use crate::telemetry;

/// A response with all of its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A running server; it stops when dropped.
pub(super) struct TestApp {
    pub(super) address: SocketAddr,
    pub(super) lifecycle: Lifecycle,
    pub(super) integrations: Integrations,
    server: ServerHandle,
    _folder: TempDir,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        actix_web::rt::spawn(self.server.stop(false));
    }
}

/// A simulated PBX whose calls are over in a moment, and the variables that lead to it.
pub(super) async fn simulator() -> (Simulator, Vec<(&'static str, String)>) {
    let settings = SimulatorSettings {
        pace: Pace::brisk(),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings.clone()).await.unwrap();
    let ari = simulator.ari_address();
    let variables = vec![
        ("ASTERISK_ARI_HOST", ari.ip().to_string()),
        ("ASTERISK_ARI_PORT", ari.port().to_string()),
        ("ASTERISK_ARI_CALL_USER", settings.user),
        ("ASTERISK_ARI_CALL_PASSWORD", settings.password),
        ("ASTERISK_PBX3CX_TRUNK_ID", settings.trunks[0].clone()),
        ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", "outgoing".to_owned()),
        ("PAC_HOST", simulator.pac_address().to_string()),
    ];
    (simulator, variables)
}

pub(super) fn settings(folder: &TempDir, variables: &[(&str, &str)]) -> Settings {
    let store = format!("sqlite:{}", folder.path().join("mege.sqlite").display());
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let sources = Sources {
        directory: folder.path().to_owned(),
        file: None,
        environment: [("DATABASE_URL".into(), store.into())]
            .into_iter()
            .chain(variables)
            .collect(),
    };
    Settings::load(&sources).unwrap()
}

impl TestApp {
    pub(super) async fn start(variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = settings(&folder, variables);
        let integrations = Integrations::spawn(&settings, Placement::Current).unwrap();
        integrations.built().await;
        integrations.stores.keys_read().await;
        let lifecycle = Lifecycle::default();
        let metrics = telemetry::metrics().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(
            &settings,
            None,
            integrations.clone(),
            lifecycle.clone(),
            metrics,
            listener,
        )
        .unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self {
            address,
            lifecycle,
            integrations,
            server: handle,
            _folder: folder,
        }
    }

    /// The same on a simulated PBX, to which it is connected.
    pub(super) async fn simulated(more: &[(&str, &str)]) -> (Simulator, Self) {
        let (simulator, variables) = simulator().await;
        let mut variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        variables.extend(more);
        let app = Self::start(&variables).await;
        app.integrations.asterisk["main"].health().became_usable().await;
        (simulator, app)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        let json = ("content-type", "application/json");
        self.send(Method::POST, path, &[json], body.to_owned()).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        send(self.address, method, path, headers, body).await
    }

    /// Sends bytes as they are and reads until the server ends the connection.
    pub(super) async fn raw(&self, request: &[u8]) -> String {
        raw(self.address, request).await
    }
}

pub(super) async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = awc::Client::default().request(method, format!("http://{address}{path}"));
    for header in headers {
        request = request.insert_header(*header);
    }
    let mut response = request.send_body(body.into()).await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.body().limit(10_000_000).await.unwrap(),
    }
}

pub(super) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), socket.read_to_end(&mut answer))
        .await
        .expect("the server ends the connection")
        .unwrap();
    String::from_utf8(answer).unwrap()
}
