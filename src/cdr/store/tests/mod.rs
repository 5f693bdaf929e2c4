//! Databases of their own for each test, and rows to put into them.

/// Runs each test on each store.
macro_rules! contract {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::cdr::store::tests::Database::sqlite()).await;
            })*
        }

        #[cfg(feature = "peers")]
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::cdr::store::tests::Database::postgres().await).await;
            })*
        }
    };
}

mod cursor;
mod failing;
mod plans;
mod reading;
mod writing;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::record::{Cdr, Column, Recording, SourceRow as _, Sourced, digest};
use super::super::value::Kind;
use super::*;
use crate::actor::ClientId;
use crate::actor::Limits;
use crate::cdr::cursor::{HandedOut, Since};
use crate::settings::StoreUrl;

/// An empty database and the settings for it.
pub(in crate::cdr) struct Database {
    pub(in crate::cdr) settings: StoreSettings,
    /// Goes with the test.
    _directory: tempfile::TempDir,
}

pub(in crate::cdr) fn settings(url: &str) -> StoreSettings {
    StoreSettings {
        url: url.to_owned().try_into().unwrap(),
        connections: 4,
        timeout_ms: 60_000,
        limits: Limits::default(),
    }
}

impl Database {
    pub(in crate::cdr) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&format!("sqlite:{}", directory.path().join("cdr.db").display()));
        Self {
            settings,
            _directory: directory,
        }
    }

    /// A new database of the server that `MEGE_TEST_POSTGRES_URL` names. It goes with the server.
    #[cfg(feature = "peers")]
    pub(in crate::cdr) async fn postgres() -> Self {
        let (settings, create) = Self::postgres_later();
        create().await;
        Self {
            settings,
            _directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The settings for such a database, and what makes it.
    #[cfg(feature = "peers")]
    pub(in crate::cdr) fn postgres_later() -> (StoreSettings, impl AsyncFnOnce()) {
        let server = std::env::var("MEGE_TEST_POSTGRES_URL").expect("the URL of a PostgreSQL for tests");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let (base, _) = server.rsplit_once('/').unwrap();
        let settings = settings(&format!("{base}/{name}"));
        let create = async move || {
            let create = format!("CREATE DATABASE {name}");
            connect(&server).await.batch_execute(&create).await.unwrap();
        };
        (settings, create)
    }

    async fn open(&self) -> Arc<CdrStore> {
        open_store(&self.settings).await.unwrap()
    }

    /// Does what the store itself has no way to do.
    pub(in crate::cdr) async fn execute(&self, sql: &str) {
        match &self.settings.url {
            StoreUrl::Sqlite(file) => rusqlite::Connection::open(file)
                .unwrap()
                .execute_batch(sql)
                .unwrap(),
            StoreUrl::Postgres(url) => connect(url).await.batch_execute(sql).await.unwrap(),
        }
    }

    /// `seq` and `revision` of everything stored; recordings by their number after an `r`.
    async fn versions(&self) -> BTreeMap<String, (i64, i64)> {
        let sql = "SELECT cdr_id, seq, revision FROM cdr \
                   UNION ALL SELECT 'r' || id_recording, seq, revision FROM recording";
        match &self.settings.url {
            StoreUrl::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))));
                rows.unwrap().map(Result::unwrap).collect()
            }
            StoreUrl::Postgres(url) => {
                let rows = connect(url).await.query(sql, &[]).await.unwrap();
                let version = |row: &tokio_postgres::Row| (row.get(0), (row.get(1), row.get(2)));
                rows.iter().map(version).collect()
            }
        }
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A row whose optional columns all have a value (`filled`) or none, different in each column and for each `n`.
fn texts(columns: &[Column], n: i64, filled: bool) -> Vec<Option<String>> {
    let required = [
        "cdr_id",
        "call_history_id",
        "id_recording",
        "cdr_started_at",
        "cdr_ended_at",
    ];
    let columns = columns.iter().zip(1_i64..);
    columns
        .map(|(column, index)| {
            (filled || required.contains(&column.name)).then(|| match column.kind {
                Kind::Id => leg_id(n * 100 + index).to_string(),
                Kind::Text => format!("{} {n}", column.name),
                Kind::Flag => ((n + index) % 2 == 0).to_string(),
                Kind::Moment => (1_770_712_917_554_321 + n * 1_000_000 + index).to_string(),
                Kind::Integer => (n * 100 + index).to_string(),
            })
        })
        .collect()
}

pub(in crate::cdr) fn leg_id(n: i64) -> Uuid {
    Uuid::from_u128(0x01dc_9a69_1dbe_9611_0000_0000_0000 + u128::try_from(n).unwrap())
}

/// A call id in the order of `n`.
pub(in crate::cdr) fn call_id(n: i64) -> Uuid {
    Uuid::from_u128(0xca11_0000_0000_0000_0000 + u128::try_from(n).unwrap())
}

pub(in crate::cdr) fn sourced_cdr(texts: Vec<Option<String>>) -> Sourced<Cdr> {
    let source_digest = digest(&serde_json::to_string(&texts).unwrap());
    let row = Cdr::from_texts(texts).unwrap();
    Sourced { row, source_digest }
}

fn sourced_recording(texts: Vec<Option<String>>) -> Sourced<Recording> {
    let source_digest = digest(&serde_json::to_string(&texts).unwrap());
    let row = Recording::from_texts(texts).unwrap();
    Sourced { row, source_digest }
}

/// Leg `n`, of call `n`; `edition` changes one of its columns and so its digest.
pub(in crate::cdr) fn leg(n: i64, edition: &str) -> Sourced<Cdr> {
    leg_of_call(n, n, edition)
}

/// Leg `n` of a call.
pub(in crate::cdr) fn leg_of_call(n: i64, call: i64, edition: &str) -> Sourced<Cdr> {
    let mut texts = texts(Cdr::COLUMNS, n, true);
    texts[0] = Some(leg_id(n).to_string());
    texts[1] = Some(call_id(call).to_string());
    texts[36] = Some(edition.to_owned());
    sourced_cdr(texts)
}

/// Recording `number` of leg `n`.
fn recording(number: i64, n: i64, url: &str) -> Sourced<Recording> {
    let mut texts = texts(Recording::COLUMNS, number.abs(), true);
    texts[0] = Some(number.to_string());
    texts[1] = Some(leg_id(n).to_string());
    texts[2] = Some(url.to_owned());
    sourced_recording(texts)
}

pub(in crate::cdr) fn legs(range: std::ops::Range<i64>) -> Batch {
    Batch {
        cdrs: range.map(|n| leg(n, "")).collect(),
        ..Batch::default()
    }
}

fn some_position(n: i64) -> Position {
    Position {
        window: Some(jiff::Timestamp::from_microsecond(1_770_712_917_554_321 + n).unwrap()),
        recordings: Some(n),
        backfilled_to: None,
        backfill_from: None,
        holes: vec![jiff::Timestamp::UNIX_EPOCH],
        swept_at: Some(jiff::Timestamp::UNIX_EPOCH),
        clock: Some(jiff::Timestamp::UNIX_EPOCH),
    }
}

fn changes(inserted: u64, updated: u64, skipped: u64) -> Changes {
    Changes {
        inserted,
        updated,
        skipped,
    }
}
