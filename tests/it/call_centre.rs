//! A gateway beside a simulated call centre: its morning, and its bad days.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use awc::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use mege_gateway::cdr::{Cdr, CdrStore, Recording, open_store};
use mege_gateway::simulator::{Incident, IncidentPace, Pace, Simulator, SimulatorSettings};
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::app::{LIMIT, Reply, TestApp, simulated};
use crate::support::eventually;
use crate::support::gateway::{sqlite_in, store_settings};
use crate::support::source::Rows;

/// The 3CX's name, as the original's variables have it.
const MAIN: &str = "main";

/// A gateway on a simulator whose collector reaches back over a morning, and its store.
async fn gateway(simulator: &Simulator, folder: &Path) -> (TestApp, Arc<CdrStore>) {
    let store = sqlite_in(folder);
    let mut variables = simulated(simulator);
    let key = |key: &str| -> &'static str { format!("MEGE__PAC__MAIN__{key}").leak() };
    variables.extend([
        ("DATABASE_URL", store.clone()),
        (key("COLLECTOR__OVERLAP_S"), "18000".to_owned()),
        (key("REQUEST_TIMEOUT_MS"), "300".to_owned()),
    ]);
    let app = TestApp::start(&variables).await;
    app.ready().await;
    app.connected().await;
    let store = open_store(&store_settings(&store)).await.expect("the store");
    (app, store)
}

/// What the simulated 3CX holds of calls before a moment.
fn rows_before(simulator: &Simulator, moment: Timestamp) -> Rows {
    let (cdrs, recordings) = (simulator.pbx().cdrs(), simulator.pbx().recordings());
    let cdrs = cdrs.expect("rows").into_iter();
    let recordings = recordings.expect("rows").into_iter();
    Rows {
        cdrs: cdrs
            .filter(|cdr| cdr.cdr_started_at < moment)
            .map(|cdr| (cdr.cdr_id, cdr))
            .collect(),
        recordings: recordings
            .filter(|recording| recording.start_time < Some(moment))
            .map(|recording| (recording.id_recording, recording))
            .collect(),
    }
}

/// Waits until the store has all of these, and each once.
async fn stored(store: &Arc<CdrStore>, rows: &Rows) {
    eventually("all rows are stored", LIMIT, async || {
        (rows.missing_in(&Rows::stored_of(MAIN, store).await) == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_morning_is_collected_whole_and_its_recordings_play() {
    let folder = tempfile::tempdir().expect("a folder");
    let recordings = folder.path().join("recordings");
    let simulator = Simulator::start(SimulatorSettings {
        pace: Pace::brisk(),
        morning: Some(Duration::from_secs(2)),
        background_calls: Some(Duration::from_secs(1)),
        recordings: Some(recordings.clone()),
        longest_recording: Duration::from_secs(4),
        recording_delay: Duration::from_millis(10),
        ..SimulatorSettings::default()
    });
    let simulator = simulator.await.expect("a simulator");
    let began = Timestamp::now();
    let (app, store) = gateway(&simulator, folder.path()).await;

    // Calls come in by themselves once the morning is over, and what people said in it was recorded.
    let rows = eventually("the morning is over", LIMIT, async || {
        let all = simulator.pbx().cdrs().expect("rows");
        let over = all.iter().any(|cdr| cdr.cdr_started_at > began);
        let rows = rows_before(&simulator, began);
        let recorded: BTreeSet<Uuid> = rows.recordings.values().map(|row| row.cdr_id).collect();
        let answered = rows.cdrs.values().filter(|cdr| is_answered_by_somebody(cdr));
        (over && answered.into_iter().all(|cdr| recorded.contains(&cdr.cdr_id))).then_some(rows)
    })
    .await;
    stored(&store, &rows).await;
    let served = app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await.json();
    let served = served.as_array().expect("rows");
    let served: BTreeSet<&str> = served.iter().filter_map(|row| row["cdr_id"].as_str()).collect();
    assert!(
        rows.cdrs
            .keys()
            .all(|id| served.contains(id.to_string().as_str()))
    );

    let cdrs = &rows.cdrs;
    let calls: BTreeSet<_> = cdrs.values().map(|cdr| cdr.main_call_history_id).collect();
    assert!(calls.len() > 50, "{} calls", calls.len());
    for cdr in cdrs.values() {
        let related = [cdr.base_cdr_id, cdr.originating_cdr_id, cdr.continued_in_cdr_id];
        assert!(
            related.iter().flatten().all(|id| cdrs.contains_key(id)),
            "{cdr:?}"
        );
    }
    let count = |is: &dyn Fn(&Cdr) -> bool| cdrs.values().filter(|cdr| is(cdr)).count();
    let to = |cdr: &Cdr, entity: &str| cdr.destination_entity_type.as_deref() == Some(entity);
    let ended = |cdr: &Cdr, reason: &str| cdr.termination_reason.as_deref() == Some(reason);
    assert_eq!(
        count(&|cdr| to(cdr, "queue") && ended(cdr, "src_participant_terminated")),
        5
    );
    assert_eq!(count(&|cdr| to(cdr, "voicemail")), 4);
    assert_eq!(
        count(&|cdr| cdr.main_call_history_id != Some(cdr.call_history_id)),
        3
    );
    for recording in rows.recordings.values() {
        assert_plays(&recordings, recording);
    }
    app.stop().await;
}

fn is_answered_by_somebody(cdr: &Cdr) -> bool {
    let to = cdr.destination_entity_type.as_deref();
    cdr.cdr_answered_at.is_some() && matches!(to, Some("extension" | "external_line"))
}

/// Whether the file is there, lasts as long as its row says, and is neither silent nor clipped.
fn assert_plays(folder: &Path, row: &Recording) {
    let url = row.recording_url.as_ref().expect("a file's name");
    let mut file = hound::WavReader::open(folder.join(url)).expect("a WAV file");
    let (start, end) = row.start_time.zip(row.end_time).expect("times");
    let lasts = end.duration_since(start);
    let samples = i64::from(file.duration());
    let expected = i64::try_from(lasts.as_millis()).expect("seconds") * 8;
    assert_eq!(samples, expected, "{url}");
    assert!(lasts <= SignedDuration::from_secs(4));
    let samples: Vec<i16> = file.samples().map(|sample| sample.expect("a sample")).collect();
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max();
    assert!(
        peak.is_some_and(|peak| (1_000..30_000).contains(&peak)),
        "{url}: {peak:?}"
    );
}

#[actix_rt::test]
async fn a_pbx_that_misbehaves_leaves_the_gateway_well_and_every_cdr_stored_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = Simulator::start(SimulatorSettings {
        pace: Pace::brisk(),
        background_calls: Some(Duration::from_millis(200)),
        recording_delay: Duration::from_millis(10),
        ..SimulatorSettings::default()
    });
    let simulator = simulator.await.expect("a simulator");
    let (app, store) = gateway(&simulator, folder.path()).await;

    let pace = IncidentPace {
        calm: Duration::from_millis(300),
        lasts: Duration::from_millis(500),
    };
    let mut told = Vec::new();
    let mut replies = BTreeMap::new();
    let calls = async {
        for number in 79_000_000_000_u64.. {
            // One that ends in 0 is answered.
            let number = number * 10;
            replies.insert(number.to_string(), app.make_call(102, number).await);
            sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::select! {
        () = simulator.misbehave(pace, |incident| told.push(incident)) => {}
        () = calls => unreachable!("numbers do not end"),
    }
    assert_eq!(told, Incident::ALL);

    assert_nothing_dialled_twice(&simulator, &replies);
    app.connected().await;
    eventually("calls are placed", LIMIT, async || {
        (app.make_call(102, 78_000_000_000).await.status == StatusCode::OK).then_some(())
    })
    .await;
    let rows = rows_before(&simulator, Timestamp::now());
    assert!(rows.cdrs.len() > 50, "{} rows", rows.cdrs.len());
    stored(&store, &rows).await;
    let status = app.status_of("collector.main").await;
    assert_eq!((&status["panics"], &status["restarts"]), (&0.into(), &0.into()));
    app.stop().await;
}

/// Holds each answer against what reached Asterisk.
fn assert_nothing_dialled_twice(simulator: &Simulator, replies: &BTreeMap<String, Reply>) {
    let mut dialled: BTreeMap<String, usize> = BTreeMap::new();
    for originate in simulator.asterisk().originates() {
        *dialled.entry(originate.extension.expect("a number")).or_default() += 1;
    }
    let mut outcomes = BTreeSet::new();
    for (number, reply) in replies {
        let times = dialled.get(number).copied().unwrap_or_default();
        if reply.status == StatusCode::OK {
            assert_eq!(times, 1, "{}", reply.body);
            continue;
        }
        let outcome = reply.json()["error"]["outcome"].as_str().map(str::to_owned);
        match outcome.as_deref() {
            Some("not_placed") => assert_eq!(times, 0, "{}", reply.body),
            Some("unknown") => assert!(times <= 1, "{}", reply.body),
            _ => panic!("no outcome: {}", reply.body),
        }
        outcomes.extend(outcome);
    }
    assert_eq!(outcomes.len(), 2, "both were seen: {outcomes:?}");
}
