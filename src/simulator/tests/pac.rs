//! PAC as a client sees it.

use jiff::Timestamp;
use tonic::Code;
use tonic::transport::Channel;

use super::*;
use crate::cdr::{Cdr, Column, Kind, Recording, digest};
use crate::pac::proto::call::call_pbx_service_client::CallPbxServiceClient;
use crate::pac::proto::call::{ConnectionCallStatus, HangupCallRequest, MakeCallRequest, TrasferCallRequest};
use crate::pac::proto::sql::SqlRequest;
use crate::pac::proto::sql::sql_service_pbx_service_client::SqlServicePbxServiceClient;
use crate::simulator::{HowOften, PacFault, PacOperation, Row, RowTiming, simulated_days};

async fn channel(simulator: &Simulator) -> Channel {
    let address = format!("http://{}", simulator.pac_address());
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

/// The result and the error.
async fn execute(simulator: &Simulator, sql: &str) -> Result<(String, String), tonic::Status> {
    let mut client =
        SqlServicePbxServiceClient::new(channel(simulator).await).max_decoding_message_size(4 << 20);
    let query = sql.to_owned();
    let reply = client.execute_sql(SqlRequest { query }).await?.into_inner();
    Ok((reply.result, reply.error))
}

async fn rows(simulator: &Simulator, sql: &str) -> Vec<Vec<String>> {
    let (result, error) = execute(simulator, sql).await.unwrap();
    assert_eq!(error, "");
    serde_json::from_str(&result).unwrap()
}

/// The expressions that turn a row into text on PostgreSQL and here.
fn row_expression(columns: &[Column]) -> String {
    let columns = columns.iter().map(|Column { name, kind }| match kind {
        Kind::Moment => format!("CAST(CAST(round(date_part('epoch', {name}) * 1000000) AS bigint) AS text)"),
        Kind::Id | Kind::Text | Kind::Flag | Kind::Integer => format!("CAST({name} AS text)"),
    });
    let columns: Vec<_> = columns.collect();
    format!("CAST(json_build_array({}) AS text)", columns.join(", "))
}

async fn collected(simulator: &Simulator) -> Vec<Cdr> {
    let sql = format!(
        "SELECT {} FROM cdroutput ORDER BY cdr_id",
        row_expression(Cdr::COLUMNS)
    );
    let rows = rows(simulator, &sql).await;
    rows.iter()
        .map(|row| Cdr::from_source(&row[0]).unwrap())
        .collect()
}

#[actix_rt::test]
async fn rows_come_back_as_they_were_stored_to_the_microsecond() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 200);
    let mut cdrs = Vec::new();
    for appearance in &days {
        simulator.pbx().insert(&appearance.what).unwrap();
        if let Row::Cdr(row) = &appearance.what {
            cdrs.push((**row).clone());
        }
    }
    cdrs.sort_by_key(|row| row.cdr_id);
    assert_eq!(collected(&simulator).await, cdrs);
    let recordings = days.len() - cdrs.len();
    let sql = format!("SELECT {} FROM recordings", row_expression(Recording::COLUMNS));
    let stored = rows(&simulator, &sql).await;
    assert_eq!(stored.len(), recordings);
    assert!(stored.iter().all(|row| Recording::from_source(&row[0]).is_ok()));

    simulator.pbx().delete_cdr(cdrs[0].cdr_id).unwrap();
    assert_eq!(collected(&simulator).await, cdrs[1..]);
}

#[actix_rt::test]
async fn a_collectors_statements_run_and_digests_agree() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 50);
    days.iter()
        .for_each(|appearance| simulator.pbx().insert(&appearance.what).unwrap());
    let all = collected(&simulator).await;
    let now: Timestamp = "2026-02-12T00:00:00.000001Z".parse().unwrap();
    simulator.pbx().set_clock(now);
    let clock = rows(
        &simulator,
        "SELECT CAST(CAST(round(date_part('epoch', now()) * 1000000) AS bigint) AS text)",
    );
    assert_eq!(clock.await, [[now.as_microsecond().to_string()]]);

    let row = row_expression(Cdr::COLUMNS);
    let mut by_end = all.clone();
    by_end.sort_by_key(|row| (row.cdr_ended_at, row.cdr_id));
    let after = &by_end[9];
    let micros = after.cdr_ended_at.as_microsecond();
    let at = format!("to_timestamp({}.{:06})", micros / 1_000_000, micros % 1_000_000);
    let page = format!(
        "SELECT CAST(cdr_id AS text), CAST(CAST(round(date_part('epoch', cdr_ended_at) * 1000000) AS bigint) AS text), \
         md5({row}), {row} FROM cdroutput WHERE cdr_id >= '{}' AND cdr_ended_at >= {at} \
         AND (cdr_ended_at, cdr_id) > ({at}, '{}') ORDER BY cdr_ended_at, cdr_id LIMIT 2000",
        all[0].cdr_id, after.cdr_id,
    );
    let page = rows(&simulator, &page).await;
    let expected: Vec<_> = by_end[10..].iter().map(|row| row.cdr_id.to_string()).collect();
    assert_eq!(
        page.iter().map(|row| row[0].clone()).collect::<Vec<_>>(),
        expected
    );
    assert!(page.iter().all(|row| digest(&row[3]) == row[2]));

    let sum = format!(
        "SELECT CAST(count(*) AS text), coalesce(md5(string_agg(md5({row}), '' ORDER BY cdr_id)), '') FROM cdroutput"
    );
    let texts = rows(
        &simulator,
        &format!("SELECT {row} FROM cdroutput ORDER BY cdr_id"),
    )
    .await;
    let digests: String = texts.iter().map(|row| digest(&row[0])).collect();
    assert_eq!(
        rows(&simulator, &sum).await,
        [["50".to_owned(), digest(&digests)]]
    );
    let nothing = format!("{sum} WHERE cdr_id < '{}'", all[0].cdr_id);
    assert_eq!(rows(&simulator, &nothing).await, [["0", ""]]);
}

#[actix_rt::test]
async fn json_is_written_as_postgresql_writes_it() {
    let simulator = start(brisk()).await;
    let sql = r#"SELECT CAST(json_build_array('a"\', NULL, 7, 'Имя') AS text)"#;
    assert_eq!(rows(&simulator, sql).await, [[r#"["a\"\\", null, 7, "Имя"]"#]]);
    let some = "SELECT CAST(json_agg(json_build_array(x, 'y')) AS text) FROM (SELECT 1 AS x UNION SELECT 2)";
    assert_eq!(rows(&simulator, some).await, [[r#"[[1, "y"], [2, "y"]]"#]]);
    let text = "SELECT CAST(json_agg(x) AS text) FROM (SELECT '[1]' AS x)";
    assert_eq!(rows(&simulator, text).await, [[r#"["[1]"]"#]], "text is no JSON");

    let raw = async |sql: &str| execute(&simulator, sql).await.unwrap();
    let none = raw("SELECT json_agg(cdr_id) FROM cdroutput").await;
    assert_eq!(none, (r#"[[""]]"#.to_owned(), String::new()));
    assert_eq!(raw("SELECT cdr_id FROM cdroutput").await.0, "[]");
    assert_eq!(raw("SELECT 'Я+', NULL").await.0, r#"[["\u042F\u002B",""]]"#);
}

#[actix_rt::test]
async fn an_sql_error_comes_with_status_ok() {
    let simulator = start(brisk()).await;
    let cases = [
        (
            "SELECT 1 FROM absent",
            "42P01: relation \"absent\" does not exist",
        ),
        (
            "SELECT absent FROM cdroutput",
            "42703: column \"absent\" does not exist",
        ),
        ("SELECT absent(1)", "42883: function absent() does not exist"),
        ("SELEC 1", "42601: syntax error"),
        ("DELETE FROM cdroutput", "25006: cannot execute"),
    ];
    for (sql, expected) in cases {
        let (result, error) = execute(&simulator, sql).await.unwrap();
        assert_eq!(result, "[]");
        let start = format!("Npgsql.PostgresException (0x80004005): {expected}");
        assert!(error.starts_with(&start), "{sql}: {error}");
    }
}

#[actix_rt::test]
async fn pac_fails_as_it_is_told_to() {
    let simulator = start(brisk()).await;
    let pbx = simulator.pbx();
    let sql = PacOperation::ExecuteSql;
    let one = HowOften::Next(1);
    let code = async || {
        execute(&simulator, "SELECT 1")
            .await
            .map_err(|status| status.code())
    };

    pbx.fail(sql, PacFault::Unavailable, HowOften::Next(2));
    assert_eq!(code().await, Err(Code::Unavailable));
    assert_eq!(code().await, Err(Code::Unavailable));
    assert_eq!(code().await.unwrap().0, r#"[["1"]]"#);
    pbx.fail(sql, PacFault::ErrorText("boom".to_owned()), one);
    assert_eq!(code().await, Ok(("[]".to_owned(), "boom".to_owned())));
    pbx.fail(sql, PacFault::Result("[[\"x".to_owned()), one);
    assert_eq!(code().await.unwrap().0, "[[\"x");
    pbx.fail(sql, PacFault::Oversized(5 << 20), one);
    assert_eq!(code().await, Err(Code::OutOfRange));
    pbx.fail(sql, PacFault::DropConnection, one);
    assert!(code().await.is_err());

    pbx.fail(sql, PacFault::Hang, HowOften::UntilCleared);
    let before = pbx.requests(sql);
    assert!(timeout(Duration::from_millis(50), code()).await.is_err());
    until(async || pbx.requests(sql).cancelled == before.cancelled + 1).await;
    pbx.clear_faults();
    assert!(code().await.is_ok());
}

#[actix_rt::test]
async fn a_call_made_by_pac_is_live_and_leaves_its_legs_and_later_a_recording() {
    for row_timing in [RowTiming::LegEnd, RowTiming::CallEnd] {
        let simulator = start(SimulatorSettings {
            row_timing,
            ..brisk()
        })
        .await;
        let mut client = CallPbxServiceClient::new(channel(&simulator).await);
        let call = MakeCallRequest {
            from: "101".to_owned(),
            to: "79000000001".to_owned(),
        };
        let reply = client.make_call(call).await.unwrap().into_inner();
        assert_eq!(
            (reply.result, reply.message.as_str()),
            (true, "Call successfully initialized")
        );
        let count = client.get_count_calls(()).await.unwrap().into_inner();
        assert_eq!(count.current_count_calls, 1);
        let live = client.get_active_calls_info(()).await.unwrap().into_inner();
        assert_eq!(live.active_calls_info_data[0].remote_number, "79000000001");

        until(async || {
            client
                .get_count_calls(())
                .await
                .unwrap()
                .into_inner()
                .current_count_calls
                == 0
        })
        .await;
        let legs = collected(&simulator).await;
        assert_eq!(legs.len(), 2);
        assert_eq!(legs[0].source_dn_number.as_deref(), Some("MakeCall"));
        assert_eq!(legs[0].continued_in_cdr_id, Some(legs[1].cdr_id));
        assert!(legs[1].cdr_answered_at > Some(legs[0].cdr_started_at));
        let recorded = "SELECT cdr_id FROM recordings";
        until(async || rows(&simulator, recorded).await.len() == 2).await;
    }
}

#[actix_rt::test]
async fn a_call_through_the_trunk_leaves_cdrs_too() {
    let simulator = start(brisk()).await;
    let path = "channels?endpoint=PJSIP/101@3cx&extension=79000000007&callerId=101";
    assert_eq!(ask(&simulator, "POST", path).await.0, 200);
    until(async || collected(&simulator).await.len() == 2).await;
    let legs = collected(&simulator).await;
    assert_eq!(legs[0].destination_dn_number.as_deref(), Some("101"));
    assert!(legs[0].cdr_answered_at.is_some());
    assert_eq!(legs[1].termination_reason_details.as_deref(), Some("busy"));
    assert!(legs[1].cdr_id > legs[0].cdr_id && legs[1].cdr_ended_at <= legs[0].cdr_ended_at);
}

#[actix_rt::test]
async fn commands_say_what_pac_says() {
    let simulator = start(SimulatorSettings {
        pace: Pace {
            talk: PATIENCE,
            ..Pace::brisk()
        },
        ..brisk()
    })
    .await;
    let mut client = CallPbxServiceClient::new(channel(&simulator).await);
    let hang_up = |extension: &str| HangupCallRequest {
        extension: extension.to_owned(),
    };
    let unknown = client.hangup_call(hang_up("999")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Internal);
    assert!(unknown.message().contains("Extension number not found"));
    let transfer = TrasferCallRequest {
        call_id: 5,
        dn: "101".to_owned(),
        number_to: "102".to_owned(),
    };
    let reply = client.transfer_call(transfer).await.unwrap().into_inner();
    assert_eq!(
        (reply.result, reply.message.as_str()),
        (false, "No active calls for the number")
    );

    simulator.pbx().fail(
        PacOperation::MakeCall,
        PacFault::ErrorText("no".to_owned()),
        HowOften::Next(1),
    );
    let call = MakeCallRequest {
        from: "101".to_owned(),
        to: "102".to_owned(),
    };
    assert!(!client.make_call(call.clone()).await.unwrap().into_inner().result);
    assert!(client.make_call(call).await.unwrap().into_inner().result);
    // What rings stays, what talks is hung up.
    until(async || {
        assert!(
            client
                .hangup_call(hang_up("101"))
                .await
                .unwrap()
                .into_inner()
                .result
        );
        client
            .get_count_calls(())
            .await
            .unwrap()
            .into_inner()
            .current_count_calls
            == 0
    })
    .await;
}

#[actix_rt::test]
async fn rows_appear_at_their_legs_end_or_at_the_calls_and_recordings_later() {
    for row_timing in [RowTiming::LegEnd, RowTiming::CallEnd] {
        let simulator = start(SimulatorSettings {
            row_timing,
            pace: Pace {
                talk: PATIENCE,
                ..Pace::brisk()
            },
            recording_delay: PATIENCE,
            ..brisk()
        })
        .await;
        let mut client = CallPbxServiceClient::new(channel(&simulator).await);
        let call = MakeCallRequest {
            from: "101".to_owned(),
            to: "102".to_owned(),
        };
        client.make_call(call).await.unwrap();
        match row_timing {
            RowTiming::LegEnd => until(async || collected(&simulator).await.len() == 1).await,
            RowTiming::CallEnd => until(async || talks(&mut client).await).await,
        }
        let count = client.get_count_calls(()).await.unwrap().into_inner();
        assert_eq!(count.current_count_calls, 1, "the call goes on");
        let visible = collected(&simulator).await.len();
        assert_eq!(visible, usize::from(row_timing == RowTiming::LegEnd));

        let extension = "101".to_owned();
        client.hangup_call(HangupCallRequest { extension }).await.unwrap();
        until(async || collected(&simulator).await.len() == 2).await;
        assert!(rows(&simulator, "SELECT cdr_id FROM recordings").await.is_empty());
    }
}

/// Whether somebody talks.
async fn talks(client: &mut CallPbxServiceClient<Channel>) -> bool {
    let calls = client.get_active_connections_info(()).await.unwrap().into_inner();
    let connections = calls
        .active_connections_info
        .iter()
        .flat_map(|call| &call.connections_data);
    let statuses: Vec<_> = connections.map(|data| data.connection_call_status()).collect();
    statuses.contains(&ConnectionCallStatus::CallConnected)
}

#[actix_rt::test]
async fn values_that_are_not_cast_lose_what_dotnet_loses() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 1);
    simulator.pbx().insert(&days[0].what).unwrap();
    let sql = "SELECT processed, cdr_started_at, CAST(processed AS text) FROM cdroutput";
    let row = rows(&simulator, sql).await.remove(0);
    assert_eq!(row, ["True", "2/10/2026 12:00:00\u{202f}AM", "true"]);
}

#[actix_rt::test]
async fn pac_can_go_away_and_come_back_on_its_port() {
    let simulator = start(brisk()).await;
    let mut client = SqlServicePbxServiceClient::new(channel(&simulator).await);
    let query = || SqlRequest {
        query: "SELECT 1".to_owned(),
    };
    client.execute_sql(query()).await.unwrap();
    simulator.pbx().stop_listening().await;
    assert!(client.execute_sql(query()).await.is_err());
    simulator.pbx().listen_again().unwrap();
    until(async || client.execute_sql(query()).await.is_ok()).await;
}

#[actix_rt::test]
async fn pac_asks_for_a_token_where_it_has_a_key() {
    let simulator = start(SimulatorSettings {
        jwt_key: Some("a key".to_owned()),
        ..brisk()
    })
    .await;
    let status = execute(&simulator, "SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let in_an_hour = Timestamp::now().as_second() + 3_600;
    for (key, exp, accepted) in [
        ("a key", in_an_hour, true),
        ("another", in_an_hour, false),
        ("a key", in_an_hour - 7_200, false),
    ] {
        let claims = serde_json::json!({"iss": "pac", "aud": "onvoip.ru", "exp": exp, "clientId": "gw"});
        let key = jsonwebtoken::EncodingKey::from_secret(key.as_bytes());
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        let header = format!("Bearer {token}").parse().unwrap();
        let authorise = move |mut request: tonic::Request<()>| {
            request
                .metadata_mut()
                .insert("authorization", tonic::metadata::MetadataValue::clone(&header));
            Ok(request)
        };
        let channel = channel(&simulator).await;
        let mut client = SqlServicePbxServiceClient::with_interceptor(channel, authorise);
        let query = "SELECT 1".to_owned();
        assert_eq!(client.execute_sql(SqlRequest { query }).await.is_ok(), accepted);
    }
}

#[actix_rt::test]
async fn calls_come_in_by_themselves_where_that_is_asked_for() {
    let simulator = start(SimulatorSettings {
        background_calls: Some(Duration::from_millis(20)),
        ..brisk()
    })
    .await;
    // The routing's leg ends within a tenth of a second.
    until(async || !collected(&simulator).await.is_empty()).await;
    let routing = collected(&simulator).await.remove(0);
    assert_eq!(
        routing.destination_entity_type.as_deref(),
        Some("inbound_routing")
    );
}

#[actix_rt::test]
async fn only_rows_can_be_read() {
    let simulator = start(brisk()).await;
    for sql in [
        "ATTACH 'x.db' AS x",
        "VACUUM INTO 'x.db'",
        "DROP TABLE cdroutput",
        "PRAGMA query_only = 0",
    ] {
        let (result, error) = execute(&simulator, sql).await.unwrap();
        assert_eq!(result, "[]");
        assert!(error.contains("25006"), "{sql}: {error}");
    }
}
