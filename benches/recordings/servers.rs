//! The two servers, on the same files.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use mege_gateway::cdr::{Batch, Cdr, Recording, SourceRow as _, Sourced, digest, open_store};
use mege_gateway::settings::{Settings, Sources};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::client::Link;
use super::support::gateway::{PER_S, PROGRAM};
use super::support::process::{LIMIT, LOAD, SUBJECT, Server, free_port, pinned};

/// The bytes of a file.
pub(crate) const FILE: usize = 1 << 20;

/// So many different files.
const FILES: i64 = 32;

/// Leaves the servers' core to them.
pub(crate) fn pin_this_process() {
    let this = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-acp", LOAD, &this])
        .stdout(Stdio::null())
        .status();
    assert!(
        pinned.is_ok_and(|status| status.success()),
        "taskset and two cores are needed"
    );
}

/// A folder with the recordings, and what the servers put there.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(place.path("recordings/110")).expect("a directory");
        for number in 1..=FILES {
            let mut content = vec![0; FILE];
            fastrand::fill(&mut content);
            fs::write(place.path("recordings").join(name(number)), content).expect("a file");
        }
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }
}

fn name(number: i64) -> String {
    format!("110/{number}.wav")
}

/// nginx with one process, so that a kill leaves nothing.
pub(crate) struct Nginx {
    server: Server,
}

impl Nginx {
    pub(crate) fn start(place: &Place) -> Self {
        let version = Command::new("nginx")
            .arg("-v")
            .env("PATH", "/usr/sbin:/usr/bin")
            .output();
        assert!(
            version.is_ok_and(|version| version.status.success()),
            "nginx is needed. Debian: apt-get install nginx-light"
        );
        let port = free_port();
        let root = place.text("recordings");
        let folder = place.text("nginx");
        fs::create_dir_all(&folder).expect("a folder");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
            .join(" ");
        let configuration = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; \
             events {{ worker_connections 1024; }} \
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; {temporary} \
             types {{ audio/wav wav; }} server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
        );
        let file = format!("{folder}/nginx.conf");
        fs::write(&file, configuration).expect("a file");
        let mut command = pinned(SUBJECT, "nginx");
        command.args(["-c", &file, "-p", &folder]);
        Self {
            server: Server::start(command, port, &place.path("nginx.log")),
        }
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        let link = |number| Link {
            server: address(&self.server),
            path: format!("/{}", name(number)),
        };
        (1..=FILES).map(link).collect()
    }
}

/// The gateway with the rows of the same files in its store.
pub(crate) struct Gateway {
    pub(crate) links: Vec<Link>,
    pub(crate) server: Server,
}

impl Gateway {
    pub(crate) async fn start(place: &Place) -> Self {
        let port = free_port();
        let variables = [
            ("APP_PORT", port.to_string()),
            ("DATABASE_URL", format!("sqlite:{}", place.text("mege.sqlite"))),
            ("PAC_HOST", "127.0.0.1:1".to_owned()),
            ("PBX_RECORDING_PATH", place.text("recordings")),
            ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", PER_S.to_owned()),
        ];
        let sources = Sources {
            directory: place.path("."),
            file: None,
            environment: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        };
        let settings = Settings::load(&sources).expect("settings");
        let store = open_store(&settings.store).await.expect("a store");
        store.apply("main", rows()).await.expect("they are stored");
        drop(store);
        let mut command = pinned(SUBJECT, PROGRAM);
        command.arg("serve").envs(variables);
        let server = Server::start(command, port, &place.path("gateway.log"));
        Self {
            links: links(address(&server)).await,
            server,
        }
    }
}

fn address(server: &Server) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port))
}

fn rows() -> Batch {
    let mut batch = Batch::default();
    for number in 1..=FILES {
        let id = Uuid::from_u128(u128::from(number.unsigned_abs())).to_string();
        let leg = Cdr::COLUMNS.iter().map(|column| match column.name {
            "cdr_id" | "call_history_id" => Some(id.clone()),
            "cdr_started_at" | "cdr_ended_at" => Some("1770712917554321".to_owned()),
            _ => None,
        });
        let recording = Recording::COLUMNS.iter().map(|column| match column.name {
            "id_recording" => Some(number.to_string()),
            "cdr_id" => Some(id.clone()),
            "recording_url" => Some(name(number)),
            _ => None,
        });
        let (leg, recording) = (leg.collect(), recording.collect());
        batch.cdrs.push(sourced(leg, Cdr::from_texts));
        batch.recordings.push(sourced(recording, Recording::from_texts));
    }
    batch
}

fn sourced<R, E: std::fmt::Debug>(
    texts: Vec<Option<String>>,
    row: impl Fn(Vec<Option<String>>) -> Result<R, E>,
) -> Sourced<R> {
    let source_digest = digest(&json!(texts).to_string());
    let row = row(texts).expect("a row");
    Sourced { row, source_digest }
}

/// The links as a client gets them, once the gateway can sign them.
async fn links(address: SocketAddr) -> Vec<Link> {
    let begun = Instant::now();
    loop {
        let rows = cdrs(address).await;
        let link = |row: &Value| {
            let url = row["recording_url"].as_str().expect("a link");
            let path = url
                .strip_prefix(&format!("http://{address}"))
                .expect("its own address");
            Link {
                server: address,
                path: path.to_owned(),
            }
        };
        if let Some(rows) = rows.as_array() {
            return rows.iter().map(link).collect();
        }
        assert!(begun.elapsed() < LIMIT, "no rows: {rows}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The answer to `POST cdr`.
async fn cdrs(address: SocketAddr) -> Value {
    let request = awc::Client::default().post(format!("http://{address}/pbx-api/cdr"));
    let mut answer = request
        .send_json(&json!({ "call_id": "0" }))
        .await
        .expect("an answer");
    answer.json().await.expect("JSON")
}
