//! `cdr` and `last-call-id`: rows that the simulated 3CX holds, as the gateway collects, stores and shows them.

use std::net::Ipv4Addr;

use awc::http::StatusCode;
use jiff::Timestamp;
use mege_gateway::cdr::{Cdr, Recording, SourceRow as _};
use mege_gateway::simulator::{SimulatedPbx, Simulator};
use serde_json::json;

use super::{Store, on_both_stores, variables};
use crate::support::app::{LIMIT, TestApp, simulator};
use crate::support::eventually;

on_both_stores! {
    an_empty_store_has_an_empty_id_and_no_rows
    rows_are_rendered_ordered_and_compared_as_the_original_does
    without_a_recording_path_there_are_no_links
}

/// The source's clock, at which it stands still.
const NOW: &str = "2026-11-22T00:12:00Z";

/// A leg that was answered: the contract's own example.
const ANSWERED: &str = concat!(
    r#"{"call_id":"00000000-01dd-7a15-d07f-8ab0000f4240","cdr_id":"00000000-01dd-7a15-d07f-8ab000000000","answered":true,"#,
    r#""destination_caller_id":"100","ringing_duration":"00:00:08.000000","source_caller_id":"79100000000","#,
    r#""start_time":"2026-11-22T00:10:00.190429+00:00","talking_duration":"00:00:40.000000","recording_url":null}"#,
);

/// One that crossed midnight, to a party without an extension; its call has a greater id than the one before.
const ACROSS_MIDNIGHT: &str = concat!(
    r#"{"call_id":"00000000-01dd-7a15-d07f-8ab0000f4241","cdr_id":"00000000-01dd-7a04-3f9d-f80000000001","answered":true,"#,
    r#""destination_caller_id":"+79990000001","ringing_duration":"00:00:00.500000","source_caller_id":"101","#,
    r#""start_time":"2026-11-21T22:04:15+00:00","talking_duration":"02:03:00.000001","recording_url":null}"#,
);

/// One that nobody answered, without numbers.
const MISSED: &str = concat!(
    r#"{"call_id":"00000000-01dd-7a15-e000-0000000f4240","cdr_id":"00000000-01dd-7a15-e000-000000000002","answered":false,"#,
    r#""destination_caller_id":null,"ringing_duration":"00:00:12.345678","source_caller_id":null,"#,
    r#""start_time":"2026-11-22T00:10:26.20896+00:00","talking_duration":"00:00:00.000000","recording_url":null}"#,
);

/// One with a recording whose name needs care in a link.
const RECORDED: &str = concat!(
    r#"{"call_id":"00000000-01dd-7a15-f000-0000000f4240","cdr_id":"00000000-01dd-7a15-f000-000000000003","answered":true,"#,
    r#""destination_caller_id":"102","ringing_duration":"00:00:01.000000","source_caller_id":"79100000003","#,
    r#""start_time":"2026-11-22T00:10:53.0525+00:00","talking_duration":"00:00:02.000000","#,
    r#""recording_url":"https://recordings.example/all/102/%5B%D0%98%D0%BC%D1%8F%2C%20102%5D_102-7%2B9%20%231%25%3F%285%29.wav"}"#,
);

/// The same without links.
const RECORDED_WITHOUT_LINK: &str = concat!(
    r#"{"call_id":"00000000-01dd-7a15-f000-0000000f4240","cdr_id":"00000000-01dd-7a15-f000-000000000003","answered":true,"#,
    r#""destination_caller_id":"102","ringing_duration":"00:00:01.000000","source_caller_id":"79100000003","#,
    r#""start_time":"2026-11-22T00:10:53.0525+00:00","talking_duration":"00:00:02.000000","recording_url":null}"#,
);

/// A leg with these values, and nothing else.
fn leg(values: &[(&str, &str)]) -> Cdr {
    // The source's text has microseconds where a moment stands.
    let text = |column: &str, value: &str| match value.parse::<Timestamp>() {
        Ok(moment) if column.ends_with("_at") => moment.as_microsecond().to_string(),
        Ok(_) | Err(_) => value.to_owned(),
    };
    let value = |name: &str| {
        let of_column = values.iter().find(|(column, _)| *column == name);
        of_column.map(|(column, value)| text(column, value))
    };
    let texts = Cdr::COLUMNS.iter().map(|column| value(column.name)).collect();
    Cdr::from_texts(texts).expect("a leg")
}

fn insert_all(pbx: &SimulatedPbx) {
    let legs = [
        leg(&[
            ("cdr_id", "00000000-01dd-7a15-d07f-8ab000000000"),
            ("call_history_id", "00000000-01dd-7a15-d07f-8ab0000f4240"),
            ("cdr_started_at", "2026-11-22T00:10:00.190429Z"),
            ("cdr_answered_at", "2026-11-22T00:10:08.190429Z"),
            ("cdr_ended_at", "2026-11-22T00:10:48.190429Z"),
            ("source_participant_phone_number", "79100000000"),
            ("destination_dn_number", "100"),
            ("destination_participant_phone_number", "79100000099"),
        ]),
        leg(&[
            ("cdr_id", "00000000-01dd-7a04-3f9d-f80000000001"),
            ("call_history_id", "00000000-01dd-7a15-d07f-8ab0000f4241"),
            ("cdr_started_at", "2026-11-21T22:04:15Z"),
            ("cdr_answered_at", "2026-11-21T22:04:15.5Z"),
            ("cdr_ended_at", "2026-11-22T00:07:15.500001Z"),
            ("source_participant_phone_number", "101"),
            ("destination_dn_number", "  "),
            ("destination_participant_phone_number", "+79990000001"),
        ]),
        leg(&[
            ("cdr_id", "00000000-01dd-7a15-e000-000000000002"),
            ("call_history_id", "00000000-01dd-7a15-e000-0000000f4240"),
            ("cdr_started_at", "2026-11-22T00:10:26.208960Z"),
            ("cdr_ended_at", "2026-11-22T00:10:38.554638Z"),
        ]),
        leg(&[
            ("cdr_id", "00000000-01dd-7a15-f000-000000000003"),
            ("call_history_id", "00000000-01dd-7a15-f000-0000000f4240"),
            ("cdr_started_at", "2026-11-22T00:10:53.0525Z"),
            ("cdr_answered_at", "2026-11-22T00:10:54.0525Z"),
            ("cdr_ended_at", "2026-11-22T00:10:56.0525Z"),
            ("source_participant_phone_number", "79100000003"),
            ("destination_dn_number", "102"),
        ]),
    ];
    let recording = Recording {
        id_recording: 5,
        cdr_id: legs[3].cdr_id,
        recording_url: Some("102/[Имя, 102]_102-7+9 #1%?(5).wav".to_owned()),
        start_time: legs[3].cdr_answered_at,
        end_time: Some(legs[3].cdr_ended_at),
        archived: Some(false),
        archived_url: None,
    };
    // The recording first: the store must be whole once the last leg is there.
    pbx.insert_recording(&recording).expect("a recording");
    for leg in legs {
        pbx.insert_cdr(&leg).expect("a leg");
    }
}

/// The rows after a call, as the raw text of the answer.
async fn after(app: &TestApp, call_id: &str) -> String {
    let reply = app
        .post("/pbx-api/cdr", json!({ "call_id": call_id }).to_string())
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.body
}

async fn last_call_id(app: &TestApp) -> String {
    let reply = app.get("/pbx-api/last-call-id").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.body
}

/// Waits until all that [`insert_all`] put there is stored.
async fn collected(app: &TestApp, recording: &str) {
    eventually("the last call is stored", LIMIT, async || {
        let expected = r#"{"call_id":"00000000-01dd-7a15-f000-0000000f4240"}"#;
        (last_call_id(app).await == expected).then_some(())
    })
    .await;
    // A recording may be stored a poll after its leg, and so may the longest leg.
    eventually("all four rows and the recording", LIMIT, async || {
        let rows = after(app, "0").await;
        (rows.matches("cdr_id").count() == 4 && rows.contains(recording)).then_some(())
    })
    .await;
}

/// A gateway on a 3CX whose clock stands still: rows of a fixed day are always of today.
async fn gateway(store: &Store, more: &[(&'static str, &str)]) -> (Simulator, TestApp) {
    let simulator = simulator().await;
    let now: Timestamp = NOW.parse().expect("a moment");
    simulator.pbx().set_clock(now);
    let app = TestApp::start(&variables(store, &simulator, more)).await;
    app.ready().await;
    (simulator, app)
}

async fn an_empty_store_has_an_empty_id_and_no_rows(store: &Store) {
    let (_simulator, app) = gateway(store, &[]).await;
    assert_eq!(last_call_id(&app).await, r#"{"call_id":""}"#);
    assert_eq!(after(&app, "0").await, "[]");
    app.stop().await;
}

async fn rows_are_rendered_ordered_and_compared_as_the_original_does(store: &Store) {
    let path = ("PBX_RECORDING_PATH", "https://recordings.example/all");
    let (simulator, mut app) = gateway(store, &[path]).await;
    insert_all(simulator.pbx());
    collected(&app, "recordings.example").await;
    // What was handed out meanwhile was to another client.
    app.come_from(Ipv4Addr::new(127, 0, 0, 2));

    // By `cdr_id`: the leg that crossed midnight began first, and its call's id is not the smallest.
    let all = [ACROSS_MIDNIGHT, ANSWERED, MISSED, RECORDED];
    // What is asked for, and which of the rows above have a greater call id as text.
    let table: [(&str, &[usize]); 11] = [
        ("0", &[0, 1, 2, 3]),
        (" ", &[0, 1, 2, 3]),
        ("00000000", &[0, 1, 2, 3]),
        ("00000000-01dd-7a15-d07f-8ab0000f4240", &[0, 2, 3]),
        ("00000000-01dd-7a15-d07f-8ab0000f424", &[0, 1, 2, 3]),
        ("00000000-01dd-7a15-d07f-8ab0000f4241", &[2, 3]),
        // Text, not an id: upper case comes before lower case.
        ("00000000-01DD-7A15-F000-0000000F4240", &[0, 1, 2, 3]),
        ("00000000-01dd-7a15-e", &[2, 3]),
        ("00000000-01dd-7a15-f000-0000000f4240", &[]),
        ("Я'; DROP TABLE cdr; --", &[]),
        ("z", &[]),
    ];
    for (call_id, rows) in table {
        let rows: Vec<&str> = rows.iter().map(|row| all[*row]).collect();
        assert_eq!(
            after(&app, call_id).await,
            format!("[{}]", rows.join(",")),
            "{call_id}"
        );
    }
}

async fn without_a_recording_path_there_are_no_links(store: &Store) {
    let (simulator, app) = gateway(store, &[]).await;
    insert_all(simulator.pbx());
    collected(&app, "").await;
    let recorded = after(&app, "00000000-01dd-7a15-e000-0000000f4240").await;
    assert_eq!(recorded, format!("[{RECORDED_WITHOUT_LINK}]"));
}
