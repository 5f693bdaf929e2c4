//! Events at a constant rate.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::*;

#[actix_rt::test]
async fn a_storm_tells_of_whole_calls_at_its_rate_and_says_how_the_writing_went() {
    let simulator = start(SimulatorSettings {
        // A busy machine may keep the reader from reading for a while.
        event_write_timeout: PATIENCE,
        ..brisk()
    })
    .await;
    let mut socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    let lasts = Duration::from_millis(500);
    let begun = Instant::now();
    let report = simulator.asterisk().storm(1_600, lasts);
    let read = async {
        let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        loop {
            let event = event(&mut socket).await.unwrap();
            if event["type"] == "last" {
                return calls;
            }
            let channel = event.get("channel").or(event.get("peer")).unwrap();
            let id = channel["id"].as_str().unwrap().to_owned();
            calls
                .entry(id)
                .or_default()
                .push(event["type"].as_str().unwrap().to_owned());
        }
    };
    let stormed = async {
        let report = report.await.unwrap();
        let took = begun.elapsed();
        simulator.asterisk().send_raw(r#"{"type":"last"}"#);
        (report, took)
    };
    let (calls, (report, took)) = tokio::join!(read, stormed);

    assert_eq!(report.planned, 800);
    assert!(report.published > 0 && report.published <= 800, "{report:?}");
    assert!(took >= lasts || report.published < 800, "not faster: {took:?}");
    assert_eq!(report.writes.written, report.published, "{report:?}");
    assert_eq!(report.writes.closed, 0);
    assert!(report.writes.longest_wait < PATIENCE && report.writes.most_waiting > 0);
    let events: usize = calls.values().map(Vec::len).sum();
    assert_eq!(events as u64, report.published);
    let whole = calls.values().next().unwrap();
    assert_eq!(
        whole.join(" "),
        "ChannelCreated Dial ChannelStateChange Dial ChannelStateChange Dial ChannelHangupRequest ChannelDestroyed"
    );
}

#[actix_rt::test]
async fn a_storm_is_too_much_for_a_reader_that_does_not_read_and_the_report_says_so() {
    // Far sooner than as many events wait as may.
    const LIMIT: Duration = Duration::from_millis(50);
    let simulator = start(SimulatorSettings {
        event_write_timeout: LIMIT,
        ..brisk()
    })
    .await;
    let _socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    // However many events it takes to fill what lies between the two.
    let report = async {
        loop {
            let storm = simulator.asterisk().storm(20_000, Duration::from_secs(1));
            let report = storm.await.unwrap();
            if report.writes.closed > 0 {
                return report;
            }
        }
    };
    let report = timeout(PATIENCE, report).await.unwrap();
    assert_eq!(report.writes.closed, 1, "{report:?}");
    assert!(report.writes.longest_wait >= LIMIT, "{report:?}");
    assert!(!simulator.asterisk().is_connected("gw"));
}

#[actix_rt::test]
async fn a_storm_that_is_dropped_is_over() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    let storm = simulator.asterisk().storm(200, Duration::from_secs(3_600));
    event(&mut socket).await.unwrap();
    drop(storm);
    let silence = async || {
        let quiet = timeout(Duration::from_millis(100), socket.next()).await;
        quiet.is_err()
    };
    until(silence).await;
}
