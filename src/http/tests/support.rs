//! A server on a free port and the actors it believes to have.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::actor::Operate;
use crate::ari::{Originate, Originated};
use crate::cdr::{CdrPages, ClientId, LegacyRow};
use crate::database::StoreError;
use crate::http::{AppState, Doors, Failure, Gateway, Lifecycle, serve};
use crate::ledger::CallId;
use crate::ledger::key::{
    ApiKey, AuditEntry, AuditLog, CreateKey, CreatedKey, KeyRing, LinkKey, ListAudit, RevokeKey,
    RotateLinkKey,
};
use crate::recordings::{OpenedRecording, RecordingId};
use crate::settings::{Settings, Sources};
use crate::telemetry;

type Pages = dyn Fn() -> CdrPages + Send + Sync;

/// Answers what it was told to, and remembers what it was asked.
#[derive(Default)]
pub(super) struct FakeGateway {
    last_call_id: Option<Uuid>,
    failure: Option<Failure>,
    pages: Option<Box<Pages>>,
    originates: Mutex<Vec<(Originate, CallId)>>,
    searches: Mutex<Vec<String>>,
}

impl fmt::Debug for FakeGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeGateway").finish_non_exhaustive()
    }
}

impl FakeGateway {
    pub(super) fn failing(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    pub(super) fn holding(last_call_id: &str) -> Self {
        Self {
            last_call_id: Some(last_call_id.parse().unwrap()),
            ..Self::default()
        }
    }

    pub(super) fn with_pages(pages: impl Fn() -> CdrPages + Send + Sync + 'static) -> Self {
        Self {
            pages: Some(Box::new(pages)),
            ..Self::default()
        }
    }

    /// How many requests reached the actors.
    pub(super) fn asked(&self) -> usize {
        self.originates.lock().unwrap().len() + self.searches.lock().unwrap().len()
    }

    pub(super) fn last_originate(&self) -> (Originate, CallId) {
        self.originates.lock().unwrap().last().cloned().unwrap()
    }

    pub(super) fn last_search(&self) -> String {
        self.searches.lock().unwrap().last().cloned().unwrap()
    }

    fn verdict(&self) -> Result<(), Failure> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

#[async_trait(?Send)]
impl Gateway for FakeGateway {
    async fn originate(&self, request: Originate, _: Instant) -> Result<Originated, Failure> {
        let call_id = CallId::mint();
        self.originates.lock().unwrap().push((request, call_id));
        self.verdict().map(|()| Originated { call_id })
    }

    fn pbx_of_call(&self, _: CallId) -> Option<&str> {
        None
    }

    async fn hang_up(&self, _: &str, _: CallId, _: Instant) -> Result<(), Failure> {
        self.verdict()
    }

    async fn last_call_id(&self, _: ClientId, _: Instant) -> Result<Option<Uuid>, Failure> {
        self.verdict().map(|()| self.last_call_id)
    }

    async fn cdrs_after(&self, call_id: String, _: ClientId, _: Instant) -> Result<CdrPages, Failure> {
        self.searches.lock().unwrap().push(call_id);
        self.verdict()?;
        Ok(self.pages.as_ref().map_or_else(|| pages([]), |pages| pages()))
    }

    async fn open_recording(&self, _: RecordingId, _: Instant) -> Result<OpenedRecording, Failure> {
        self.verdict().and_then(|()| Err(Failure::recording_not_found()))
    }

    fn link_key(&self) -> Option<LinkKey> {
        Some(LinkKey::of([7; 32]))
    }

    async fn create_key(&self, _: CreateKey, _: Instant) -> Result<CreatedKey, Failure> {
        Err(Failure::not_configured("ledger"))
    }

    async fn list_keys(&self, _: Instant) -> Result<Vec<ApiKey>, Failure> {
        Err(Failure::not_configured("ledger"))
    }

    async fn revoke_key(&self, _: RevokeKey, _: Instant) -> Result<(), Failure> {
        Err(Failure::not_configured("ledger"))
    }

    async fn rotate_link_key(&self, _: RotateLinkKey, _: Instant) -> Result<(), Failure> {
        Err(Failure::not_configured("ledger"))
    }

    async fn list_audit(&self, _: ListAudit, _: Instant) -> Result<Vec<AuditEntry>, Failure> {
        Err(Failure::not_configured("ledger"))
    }
}

/// Pages of so many rows each, numbered through; the first one is read at once.
pub(super) fn pages(sizes: impl IntoIterator<Item = Result<usize, StoreError>>) -> CdrPages {
    let mut next = 0;
    let mut all = sizes.into_iter().map(|size| {
        size.map(|size| {
            next += size;
            (next - size..next).map(row).collect::<Vec<_>>()
        })
    });
    let first = all
        .next()
        .map_or_else(Vec::new, |page| page.expect("the first page is read"));
    let (sender, rest) = mpsc::channel(16);
    for page in all {
        sender.try_send(page).unwrap();
    }
    CdrPages { first, rest }
}

pub(super) fn row(i: usize) -> LegacyRow {
    let at = |second: i64| Timestamp::from_second(1_770_000_000 + second).unwrap();
    LegacyRow {
        call_history_id: Uuid::from_u128(1),
        cdr_id: Uuid::from_u128(i as u128),
        started_at: at(0),
        answered_at: None,
        ended_at: at(8),
        source_number: None,
        destination_number: None,
        id_recording: Some(5),
        recording_url: Some("110/a b.wav".to_owned()),
    }
}

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
    pub(super) gateway: Arc<FakeGateway>,
    pub(super) address: SocketAddr,
    pub(super) lifecycle: Lifecycle,
    server: ServerHandle,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        actix_web::rt::spawn(self.server.stop(false));
    }
}

pub(super) fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let folder = tempfile::TempDir::new().unwrap();
    let sources = Sources {
        directory: folder.path().to_owned(),
        file: None,
        environment: variables.collect(),
    };
    Settings::load(&sources).unwrap()
}

impl TestApp {
    pub(super) fn start(gateway: FakeGateway, variables: &[(&str, &str)]) -> Self {
        Self::start_with(gateway, variables, Vec::new())
    }

    /// Starts a server that knows these actors, and is not ready without them.
    pub(super) fn start_with(
        gateway: FakeGateway,
        variables: &[(&str, &str)],
        actors: Vec<Arc<dyn Operate>>,
    ) -> Self {
        let settings = settings(variables);
        let gateway = Arc::new(gateway);
        let healths = actors.iter().map(|actor| actor.health().clone()).collect();
        let actors = actors.into_iter().collect();
        let lifecycle = Lifecycle::default();
        let state = AppState::new(
            &settings,
            Arc::clone(&gateway) as Arc<dyn Gateway>,
            actors,
            healths,
            lifecycle.clone(),
            telemetry::metrics().unwrap(),
            Doors::new(&settings, KeyRing::holding(Vec::new()), AuditLog::default()),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(&settings.http, None, state, listener).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self {
            gateway,
            address,
            lifecycle,
            server: handle,
        }
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
        let url = format!("http://{}{path}", self.address);
        let mut request = awc::Client::default().request(method, url);
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

    /// Sends bytes as they are and reads until the server ends the connection.
    pub(super) async fn raw(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer))
            .await
            .expect("the server ends the connection")
            .unwrap();
        String::from_utf8(answer).unwrap()
    }
}
