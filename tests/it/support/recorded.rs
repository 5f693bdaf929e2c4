//! Calls that were recorded, put into the store as a collector would.

use mege_gateway::cdr::{Apply, Batch, Cdr, Recording, SourceRow as _, Sourced, digest};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use super::app::{LIMIT, TestApp};

/// A directory of recordings, below a folder with other things.
pub(crate) struct Recordings(TempDir);

impl Recordings {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("recordings/110")).expect("a directory");
        Self(folder)
    }

    /// A path below the folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file into the directory.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path("recordings").join(path), content).expect("a file");
    }

    /// A gateway that serves it, with these variables too. Its 3CX is away.
    pub(crate) async fn gateway(&self, more: &[(&'static str, &str)]) -> TestApp {
        let directory = self.path("recordings").to_str().expect("UTF-8").to_owned();
        let mut variables = vec![
            ("PAC_HOST", "127.0.0.1:1".to_owned()),
            ("PBX_RECORDING_PATH", directory),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let app = TestApp::start(&variables).await;
        app.ready().await;
        let loaded = app.integrations.stores.keys.was_loaded();
        tokio::time::timeout(LIMIT, loaded)
            .await
            .expect("the key that signs links");
        app
    }
}

/// Stores one leg with one recording for each path, numbered from 1, as of the 3CX named `main`.
pub(crate) async fn store<'a>(app: &TestApp, paths: impl IntoIterator<Item = &'a str>, archived: bool) {
    let rows = paths.into_iter().zip(1..).map(|(path, number)| {
        let recording = Recording {
            id_recording: number,
            cdr_id: leg(number).cdr_id,
            recording_url: Some(path.to_owned()),
            start_time: None,
            end_time: None,
            archived: Some(archived),
            archived_url: None,
        };
        (
            sourced(leg(number), Cdr::to_texts),
            sourced(recording, Recording::to_texts),
        )
    });
    let (cdrs, recordings) = rows.unzip();
    let batch = Batch {
        cdrs,
        recordings,
        position: None,
    };
    let pbx = "main".to_owned();
    let stored = app
        .integrations
        .stores
        .cdr
        .ask(Apply { pbx, batch }, Instant::now() + LIMIT);
    stored.await.expect("they are stored");
}

fn leg(number: i64) -> Cdr {
    let id = Uuid::from_u128(0x01dc_9a69_1dbe_9611_0000_0000_0000 + number.unsigned_abs() as u128);
    let texts = Cdr::COLUMNS.iter().map(|column| match column.name {
        "cdr_id" | "call_history_id" => Some(id.to_string()),
        "cdr_started_at" | "cdr_ended_at" => Some("1770712917554321".to_owned()),
        _ => None,
    });
    Cdr::from_texts(texts.collect()).expect("a leg")
}

fn sourced<R>(row: R, texts: impl Fn(&R) -> Vec<Option<String>>) -> Sourced<R> {
    let source_digest = digest(&serde_json::json!(texts(&row)).to_string());
    Sourced { row, source_digest }
}

/// The links to the recordings, in the order of their numbers, as `POST cdr` has them.
pub(crate) async fn links(app: &TestApp) -> Vec<String> {
    let reply = app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let rows = reply.json();
    let rows = rows.as_array().expect("rows");
    let link = |row: &serde_json::Value| row["recording_url"].as_str().expect("a link").to_owned();
    rows.iter().map(link).collect()
}
