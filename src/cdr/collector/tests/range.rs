//! A backfill of a range: what it leaves to the next one, and when it gives up.

use super::super::range::{BackfillEvent, Backfilled, Range, RangeBackfill};
use super::*;

type Ran = (
    Result<Backfilled, CollectError>,
    Collector<Script, Memory>,
    Vec<String>,
);

const RANGE: Range = Range {
    from: None,
    until: None,
};

/// Runs one, which begins where the position in the store says.
async fn run(collector: Collector<Script, Memory>) -> Ran {
    let mut told = Vec::new();
    let mut tell = |event: BackfillEvent<'_>| told.push(format!("{event:?}"));
    let mut backfill = RangeBackfill::begin(collector, RANGE, &mut tell).await.unwrap();
    let done = backfill.run(&mut tell).await;
    (done, backfill.collector, told)
}

/// What a process that was killed leaves behind.
fn of_the_next_process(collector: Collector<Script, Memory>) -> Collector<Script, Memory> {
    let settings = CollectorSettings::default();
    Collector::new("office", settings, collector.source, collector.store)
}

fn hourly(hours: std::ops::Range<i64>) -> Script {
    let mut script = Script::with(1..=2_500);
    for hour in hours {
        let moment = poll(0).clock - jiff::SignedDuration::from_hours(hour);
        script.legs.extend([leg(moment, moment)]);
    }
    script
}

#[tokio::test(start_paused = true)]
async fn it_reads_the_range_once_and_the_second_time_finds_all_of_it() {
    let (done, collector, told) = run(collector(hourly(1..50))).await;
    let done = done.unwrap();
    assert_eq!(
        (done.read, done.stored.inserted, done.incomplete),
        (2_549, 2_549, 0)
    );
    assert_eq!(collector.store.cdrs.borrow().len(), 49);
    assert_eq!(stored(&collector).len(), 2_500);
    assert!(told[0].contains("resumed: None"), "{}", told[0]);
    let fetched = asked(&collector, "fetch_cdrs");
    *collector.store.position.borrow_mut() = Position::default();
    let (done, collector, _) = run(of_the_next_process(collector)).await;
    assert_eq!(
        (done.unwrap().read, asked(&collector, "fetch_cdrs")),
        (2_549, fetched)
    );
}

#[tokio::test(start_paused = true)]
async fn what_did_not_arrive_whole_is_all_that_the_next_one_reads() {
    let mut script = hourly(1..10);
    let (_, lost) = *script.legs.keys().nth(4).unwrap();
    script.garbled_legs = vec![lost];
    script.garbled = vec![1_500];
    let (done, mut collector, _) = run(collector(script)).await;
    // The hour, and the second thousand of recordings.
    let done = done.unwrap();
    assert_eq!((done.incomplete, done.read), (2, 8 + 1_500));
    assert_eq!(collector.store.cdrs.borrow().len(), 8);
    assert_eq!(stored(&collector).len(), 2_499);

    collector.source.garbled_legs.clear();
    collector.source.garbled.clear();
    let tallied = asked(&collector, "tally_cdrs");
    let (done, collector, told) = run(of_the_next_process(collector)).await;
    let done = done.unwrap();
    assert_eq!((done.incomplete, done.stored.inserted), (0, 2));
    assert_eq!(asked(&collector, "tally_cdrs"), tallied + 1);
    assert!(told[0].contains("resumed: Some"), "{}", told[0]);
    assert_eq!(collector.store.cdrs.borrow().len(), 9);
    assert_eq!(stored(&collector).len(), 2_500);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stays_away_is_given_up_and_the_next_one_goes_on() {
    let mut script = hourly(1..10);
    let (_, far) = *script.legs.keys().next().unwrap();
    script.fail_on = Some("DESC LIMIT 1), 'none'".to_owned());
    let (done, mut collector, told) = run(collector(script)).await;
    assert!(matches!(done, Err(CollectError::Source { .. })), "{done:?}");
    let failed = told.iter().filter(|told| told.starts_with("Failed")).count();
    assert_eq!(failed, 8);
    assert_eq!(stored(&collector).len(), 2_500);
    assert!(collector.store.cdrs.borrow().is_empty());

    collector.source.fail_on = None;
    let (done, collector, _) = run(of_the_next_process(collector)).await;
    assert_eq!(done.unwrap().read, 9);
    assert!(collector.store.cdrs.borrow().contains_key(&far));
}
