//! The statements on a real PostgreSQL with 3CX's types, through a PAC in front of it, and rows of real calls.
//!
//! `MEGE_TEST_POSTGRES_URL` names a database where a schema may be made and dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::strtime;
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::handles::PacSource;
use super::interface::{CollectError, Source};
use super::tests::memory::Memory;
use super::*;
use crate::actor::{Placement, State};
use crate::cdr::ids::{floor_id, hours_before};
use crate::cdr::{Cdr, Kind, Recording, SourceRow as _};
use crate::pac::proto::sql::sql_service_pbx_service_server::{
    SqlServicePbxService, SqlServicePbxServiceServer,
};
use crate::pac::proto::sql::{SqlRequest, SqlResponse};
use crate::pac::{Rows, Statement};

const CALLS: [&str; 2] = [
    include_str!("../../../tests/fixtures/cdr/call-1.csv"),
    include_str!("../../../tests/fixtures/cdr/call-2.csv"),
];

/// A 3CX database and the PAC beside it.
struct Database {
    client: Arc<Client>,
    source: PacSource,
}

impl Database {
    /// The two tables, temporary ones of a connection.
    async fn new() -> Self {
        let url = std::env::var("MEGE_TEST_POSTGRES_URL").expect("MEGE_TEST_POSTGRES_URL");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        actix_rt::spawn(connection);
        let sql_type = |column: &crate::cdr::Column| match column.kind {
            Kind::Id => "uuid",
            Kind::Text => "varchar",
            Kind::Flag => "boolean",
            Kind::Moment => "timestamptz(6)",
            Kind::Integer => "bigint",
        };
        for (table, columns) in [("cdroutput", Cdr::COLUMNS), ("recordings", Recording::COLUMNS)] {
            let columns: Vec<String> = columns
                .iter()
                .map(|column| format!("{} {}", column.name, sql_type(column)))
                .collect();
            let sql = format!("CREATE TEMPORARY TABLE {table} ({})", columns.join(", "));
            client.batch_execute(&sql).await.unwrap();
        }
        // Whatever zone the session has, moments are the same.
        client
            .batch_execute("SET TimeZone = 'Asia/Kathmandu'")
            .await
            .unwrap();
        let client = Arc::new(client);
        let source = pac(Arc::clone(&client)).await;
        Self { client, source }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn insert_calls(&self) {
        for line in CALLS.iter().flat_map(|call| call.lines().skip(1)) {
            let values: Vec<String> = line
                .split(',')
                .map(|value| {
                    if value.is_empty() {
                        "NULL".to_owned()
                    } else {
                        format!("'{value}'")
                    }
                })
                .collect();
            self.run(&format!("INSERT INTO cdroutput VALUES ({})", values.join(", ")))
                .await;
        }
    }
}

impl Source for Database {
    async fn query(&self, statement: Statement) -> Result<Rows, CollectError> {
        self.source.query(statement).await
    }
}

/// A PAC in front of a database, and the actor that reaches it.
async fn pac(client: Arc<Client>) -> PacSource {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(SqlServicePbxServiceServer::new(Pac(client)));
    actix_rt::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let settings = serde_json::from_value(serde_json::json!({ "address": address })).unwrap();
    let pac = crate::pac::spawn("office", settings, Placement::Current).unwrap();
    pac.health().reached(State::Running).await;
    PacSource {
        pac,
        timeout: Duration::from_secs(10),
    }
}

/// PAC's way with results: every value as text, NULL as `""`, and most characters escaped.
struct Pac(Arc<Client>);

#[tonic::async_trait]
impl SqlServicePbxService for Pac {
    async fn execute_sql(&self, request: Request<SqlRequest>) -> Result<Response<SqlResponse>, Status> {
        let response = match self.0.simple_query(&request.into_inner().query).await {
            Ok(messages) => SqlResponse {
                result: as_dotnet(&messages),
                error: String::new(),
            },
            Err(error) => SqlResponse {
                result: "[]".to_owned(),
                error: format!("Npgsql.PostgresException (0x80004005): {error:?}"),
            },
        };
        Ok(Response::new(response))
    }
}

fn as_dotnet(messages: &[SimpleQueryMessage]) -> String {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|index| escaped(row.get(index).unwrap_or_default()));
            Some(format!("[{}]", values.collect::<Vec<_>>().join(",")))
        }
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    };
    let rows: Vec<String> = messages.iter().filter_map(row).collect();
    format!("[{}]", rows.join(","))
}

fn escaped(text: &str) -> String {
    let mut json = "\"".to_owned();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => json.push_str("\\\\"),
            Ok(byte @ b' '..=b'~') if !b"+<>&'`\"".contains(&byte) => json.push(char::from(byte)),
            Ok(_) | Err(_) => json.push_str(&format!("\\u{unit:04X}")),
        }
    }
    json.push('"');
    json
}

/// What a fixture's line holds, as a row's texts.
fn expected(line: &str) -> Vec<Option<String>> {
    Cdr::COLUMNS
        .iter()
        .zip(line.split(','))
        .map(|(column, value)| match column.kind {
            _ if value.is_empty() => None,
            Kind::Moment => {
                let moment = strtime::parse("%Y-%m-%d %H:%M:%S%.f %z", value).unwrap();
                Some(moment.to_timestamp().unwrap().as_microsecond().to_string())
            }
            Kind::Id | Kind::Text | Kind::Flag | Kind::Integer => Some(value.to_owned()),
        })
        .collect()
}

fn collector(database: Database) -> Collector<Database, Memory> {
    let settings = CollectorSettings {
        // The fixtures' calls are older than any window: they come by the backfill.
        backfill_days: 36_500,
        ..CollectorSettings::default()
    };
    Collector::new("office", settings, database, Memory::default())
}

#[actix_rt::test]
async fn two_real_calls_are_stored_field_by_field_as_postgresql_holds_them() {
    let database = Database::new().await;
    database.insert_calls().await;
    // What the fixtures lack: a fraction to the microsecond, text that needs escapes, an empty text, a leg that
    // goes on, a source that holds a leg twice.
    let awkward = "Имя \"в кавычках\" \\ \u{1} \u{2028} 😀 a$1b";
    database
        .run(&format!(
            "UPDATE cdroutput SET source_dn_name = '{awkward}', termination_reason_details = '', \
             cdr_answered_at = '2026-02-10 08:41:57.999999+00' WHERE offload_id = 1102;
             INSERT INTO cdroutput (cdr_id, call_history_id, cdr_started_at) \
             VALUES ('00000000-01dc-9a69-1dbe-ffffffffffff', '00000000-01dc-9a69-1dbd-72c400000ef0', now());
             INSERT INTO cdroutput SELECT * FROM cdroutput WHERE cdr_ended_at IS NOT NULL LIMIT 1"
        ))
        .await;
    let mut collector = collector(database);
    while collector.poll().await.unfinished {}
    let polled = collector.poll().await;
    assert_eq!(polled.error, None);

    let mut lines: BTreeMap<Uuid, Vec<Option<String>>> = BTreeMap::new();
    for line in CALLS.iter().flat_map(|call| call.lines().skip(1)) {
        let mut texts = expected(line);
        if texts[41].as_deref() == Some("1102") {
            texts[6] = Some(awkward.to_owned());
            texts[36] = Some(String::new());
            texts[35] = Some("1770712917999999".to_owned());
        }
        lines.insert(line.split(',').next().unwrap().parse().unwrap(), texts);
    }
    let stored = collector.store.cdrs.borrow();
    assert_eq!(stored.len(), 50);
    for (id, texts) in &lines {
        assert_eq!(&stored[id].row.to_texts(), texts, "{id}");
    }
    assert!(lines.values().any(|texts| texts[41].as_deref() == Some("1102")));
    let position = collector.store.position.borrow();
    assert_eq!(position.backfilled_to, position.backfill_from);
}

#[actix_rt::test]
async fn recordings_the_window_and_the_sweep_read_what_appears() {
    let database = Database::new().await;
    database
        .run(
            "INSERT INTO recordings VALUES \
             (7, '00000000-01dc-9a69-1dbe-96110000301f', '110/[Имя, Фамилия]_110-79990480215_1(12).wav', \
             now() - interval '1 hour', now(), NULL, ''), \
             (8, NULL, 'an old one', now(), now(), false, NULL), \
             (9, '00000000-01dc-9a69-1dbe-96110000301f', NULL, NULL, NULL, true, 'x')",
        )
        .await;
    let mut collector = collector(database);
    let polled = collector.poll().await;
    assert_eq!(polled.error, None);
    let numbers: Vec<i64> = collector.store.recordings.borrow().keys().copied().collect();
    assert_eq!(numbers, [7, 9]);
    assert_eq!(collector.store.position.borrow().recordings, Some(9));

    // Two legs end now; one of them started beyond the window's longest leg, so that only the sweep finds it.
    let clock = collector.known.as_ref().unwrap().clock;
    let leg = |hours: u64| {
        let id = floor_id(hours_before(clock, hours));
        format!(
            "INSERT INTO cdroutput (cdr_id, call_history_id, cdr_started_at, cdr_ended_at, processed) \
             VALUES ('{id}', '{id}', now() - interval '{hours} hours', now(), true);"
        )
    };
    collector.source.run(&leg(1)).await;
    collector.source.run(&leg(30)).await;
    assert_eq!(collector.poll().await.error, None);
    assert_eq!(collector.store.cdrs.borrow().len(), 1);
    collector.swept_at = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(collector.poll().await.error, None);
    assert_eq!(collector.store.cdrs.borrow().len(), 2);
    // A recording is repaired by the sweep where it changed far below the watermark.
    collector
        .source
        .run(
            "UPDATE recordings SET archived = true WHERE id_recording = 7; \
             INSERT INTO recordings (id_recording, cdr_id) \
             SELECT n, '00000000-01dc-9a69-1dbe-96110000301f' FROM generate_series(10, 2500) AS n",
        )
        .await;
    assert_eq!(collector.poll().await.error, None);
    assert_eq!(collector.store.recordings.borrow().len(), 2_493);
    collector
        .source
        .run("UPDATE recordings SET archived_url = 'y' WHERE id_recording = 7")
        .await;
    let before = collector.store.recordings.borrow()[&7].clone();
    collector.swept_at = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(collector.poll().await.error, None);
    let after = collector.store.recordings.borrow()[&7].clone();
    assert_eq!(before.row.archived_url.as_deref(), Some(""));
    assert_eq!(after.row.archived_url.as_deref(), Some("y"));
}

#[actix_rt::test]
async fn a_moment_that_no_number_can_hold_spoils_its_own_row_and_no_other() {
    let database = Database::new().await;
    let mut collector = collector(database);
    assert_eq!(collector.poll().await.error, None);
    let clock = collector.known.as_ref().unwrap().clock;
    for (hours, ended_at, answered_at) in [
        (1, "now()", "'infinity'"),
        (2, "'infinity'", "NULL"),
        (3, "'-infinity'", "NULL"),
        (4, "now()", "now()"),
    ] {
        let id = floor_id(hours_before(clock, hours));
        let insert = format!(
            "INSERT INTO cdroutput (cdr_id, call_history_id, cdr_started_at, cdr_ended_at, cdr_answered_at) \
             VALUES ('{id}', '{id}', now(), {ended_at}, {answered_at})"
        );
        collector.source.run(&insert).await;
    }
    collector.swept_at = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(collector.poll().await.error, None);
    let stored: Vec<Uuid> = collector.store.cdrs.borrow().keys().copied().collect();
    assert_eq!(stored, [floor_id(hours_before(clock, 4))]);
    assert_eq!(collector.unreadable.len(), 3);
}

#[actix_rt::test]
async fn moments_come_and_go_exact_to_the_microsecond() {
    let database = Database::new().await;
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..2_000 {
        // 1970 to 2104.
        let micros = rng.i64(0..4_260_000_000_000_000);
        let at = Timestamp::from_microsecond(micros).unwrap();
        database
            .run(&format!(
                "DELETE FROM cdroutput; INSERT INTO cdroutput (cdr_id, call_history_id, cdr_started_at, cdr_ended_at) \
                 VALUES ('00000000-01dc-9a69-1dbe-96110000301f', '00000000-01dc-9a69-1dbd-72c400000ef0', '{at}', '{at}')"
            ))
            .await;
        let statement = queries::list_ended(Uuid::nil(), (at, Uuid::nil()));
        let listed = reply::ended_page(&database, statement, (at, Uuid::nil()))
            .await
            .unwrap();
        assert_eq!(listed.len(), 1, "{at} is not before itself");
        assert_eq!(listed[0].0.0, at);
    }
}
