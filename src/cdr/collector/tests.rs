//! What a collector makes of its source's answers, good and bad: a scripted source and a store in memory.
//!
//! On a paused clock: a poll has its time, and how much of it this machine takes is not what is tested.

pub(super) mod memory;
mod range;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use self::memory::Memory;
use super::interface::{CollectError, Source};
use super::*;
use crate::actor::AskError;
use crate::cdr::ids::floor_id;
use crate::cdr::{Cdr, Recording, SourceRow as _, digest};
use crate::pac::{PacError, Rows, Statement};

/// A source: its legs in the order of their ends, and its recordings, each with its line.
#[derive(Default)]
struct Script {
    legs: BTreeMap<(Timestamp, Uuid), String>,
    lines: BTreeMap<i64, String>,
    /// Replies with more rows than this are too large.
    most_rows: usize,
    /// These lines arrive altered.
    garbled: Vec<i64>,
    garbled_legs: Vec<Uuid>,
    /// A request that names this fails.
    fail_on: Option<String>,
    /// These alone are too large.
    huge: Vec<i64>,
    asked: RefCell<Vec<String>>,
}

impl Script {
    fn with(numbers: std::ops::RangeInclusive<i64>) -> Self {
        Self {
            lines: numbers.map(|number| (number, line(number))).collect(),
            most_rows: usize::MAX,
            ..Self::default()
        }
    }
}

fn line(number: i64) -> String {
    let texts = [
        Some(number.to_string()),
        Some(Uuid::nil().to_string()),
        None,
        None,
        None,
        None,
        None,
    ];
    serde_json::to_string(&texts).unwrap()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

fn numbers(text: &str, before: &str, after: &str) -> Vec<i64> {
    between(text, before, after)
        .split(", ")
        .map(|number| number.parse().unwrap())
        .collect()
}

impl Script {
    /// Legs whose ids lie in a statement's bounds, by id.
    fn legs_in(&self, text: &str) -> BTreeMap<Uuid, String> {
        let from: Uuid = between(text, "cdr_id >= '", "'").parse().unwrap();
        let until: Uuid = between(text, "cdr_id < '", "'").parse().unwrap();
        let legs = self.legs.iter().map(|((_, id), line)| (*id, line.clone()));
        legs.filter(|(id, _)| (from..until).contains(id)).collect()
    }
}

impl Source for Script {
    async fn query(&self, statement: Statement) -> Result<Rows, CollectError> {
        let name = statement.name();
        let text = statement.text();
        self.asked.borrow_mut().push(name.to_owned());
        if self
            .fail_on
            .as_ref()
            .is_some_and(|fail_on| text.contains(fail_on))
        {
            let error = AskError::Reply(PacError::Unavailable("scripted".to_owned()));
            return Err(CollectError::Source {
                statement: name,
                error,
            });
        }
        let rows: Rows = match name {
            "clock" => {
                let at = poll(0).clock.as_microsecond();
                let nonce = between(text, "|| ' ", "'");
                vec![vec![at.to_string(), digest(&format!("{at} {nonce}"))]]
            }
            // All numbers are of one moment, after the beginning of any range.
            "first_recording" => {
                let greatest = self.lines.last_key_value().map_or(0, |(number, _)| *number);
                let from_the_end = poll(0).clock.as_second().to_string();
                let at = between(text, "to_timestamp(", ")");
                vec![vec![
                    if at > from_the_end.as_str() { greatest } else { 0 }.to_string(),
                ]]
            }
            "list_ended" => {
                let floor: Uuid = between(text, "cdr_id >= '", "'").parse().unwrap();
                let seconds = between(text, "cdr_ended_at > to_timestamp(", ")");
                let after = Timestamp::from_microsecond(seconds.replace('.', "").parse().unwrap()).unwrap();
                let after: (Timestamp, Uuid) = (after, between(text, "cdr_id > '", "'").parse().unwrap());
                let legs = self
                    .legs
                    .iter()
                    .filter(|(place, _)| **place > after && place.1 >= floor);
                legs.take(queries::LIST_ROWS)
                    .map(|((ended_at, id), line)| {
                        vec![
                            id.to_string(),
                            ended_at.as_microsecond().to_string(),
                            digest(line),
                        ]
                    })
                    .collect()
            }
            "fetch_cdrs" => {
                let asked = between(text, "IN (", ")").split(", ");
                let asked: BTreeSet<Uuid> = asked.map(|id| id.trim_matches('\'').parse().unwrap()).collect();
                let legs = self.legs.iter().filter(|((_, id), _)| asked.contains(id));
                legs.map(|((_, id), line)| {
                    let sent = if self.garbled_legs.contains(id) { "?" } else { line };
                    vec![id.to_string(), sent.to_owned(), digest(line)]
                })
                .collect()
            }
            "latest_cdr" => {
                let latest = self.legs_in(text).pop_last();
                vec![vec![latest.map_or("none".to_owned(), |(id, _)| id.to_string())]]
            }
            "tally_cdrs" => {
                let digests: Vec<String> = self.legs_in(text).values().map(|line| digest(line)).collect();
                vec![vec![digests.len().to_string(), digest(&digests.concat())]]
            }
            "list_cdrs" => {
                let legs = self.legs_in(text).into_iter();
                legs.map(|(id, line)| vec![id.to_string(), digest(&line)])
                    .collect()
            }
            "list_recordings" => {
                let from = numbers(text, "id_recording >= ", " AND")[0];
                let until = numbers(text, "id_recording < ", " AND")[0];
                self.lines
                    .range(from..until)
                    .take(queries::LIST_ROWS)
                    .map(|(number, line)| vec![number.to_string(), digest(line)])
                    .collect()
            }
            "fetch_recordings" => {
                let asked = numbers(text, "IN (", ")");
                let huge = asked.iter().any(|number| self.huge.contains(number));
                if asked.len() > self.most_rows || huge {
                    let error = AskError::Reply(PacError::TooLarge { limit: 1 });
                    return Err(CollectError::Source {
                        statement: name,
                        error,
                    });
                }
                asked
                    .iter()
                    .filter_map(|number| self.lines.get_key_value(number))
                    .map(|(number, line)| {
                        let sent = if self.garbled.contains(number) { "?" } else { line };
                        vec![number.to_string(), sent.to_owned(), digest(line)]
                    })
                    .collect()
            }
            "tally_recordings" => {
                let from = numbers(text, "id_recording >= ", " AND")[0];
                let until = numbers(text, "id_recording < ", " AND")[0];
                let digests: Vec<String> = self
                    .lines
                    .range(from..until)
                    .map(|(_, line)| digest(line))
                    .collect();
                vec![vec![digests.len().to_string(), digest(&digests.concat())]]
            }
            other => panic!("not in the script: {other}"),
        };
        Ok(rows)
    }
}

fn collector(script: Script) -> Collector<Script, Memory> {
    Collector::new("office", CollectorSettings::default(), script, Memory::default())
}

fn poll(recordings: i64) -> Poll {
    Poll {
        clock: "2026-02-10T08:00:00Z".parse().unwrap(),
        position: Position {
            recordings: Some(recordings),
            ..Position::default()
        },
        unfinished: false,
    }
}

fn stored(collector: &Collector<Script, Memory>) -> Vec<i64> {
    collector.store.recordings.borrow().keys().copied().collect()
}

fn asked(collector: &Collector<Script, Memory>, name: &str) -> usize {
    let asked = collector.source.asked.borrow();
    asked.iter().filter(|asked| *asked == name).count()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A leg that lasted from one moment to the other.
fn leg(started_at: Timestamp, ended_at: Timestamp) -> ((Timestamp, Uuid), String) {
    let id = floor_id(started_at);
    let texts: Vec<Option<String>> = Cdr::COLUMNS
        .iter()
        .map(|column| match column.name {
            "cdr_id" | "call_history_id" => Some(id.to_string()),
            "cdr_started_at" => Some(started_at.as_microsecond().to_string()),
            "cdr_ended_at" => Some(ended_at.as_microsecond().to_string()),
            _ => None,
        })
        .collect();
    ((ended_at, id), serde_json::to_string(&texts).unwrap())
}

/// A poll at this time, from this position of the window.
fn poll_at(clock: &str, window: Option<&str>) -> Poll {
    Poll {
        clock: at(clock),
        position: Position {
            window: window.map(at),
            ..Position::default()
        },
        unfinished: false,
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_week_of_downtime_the_window_goes_through_all_of_it() {
    let start = at("2026-02-03T08:00:00Z");
    let mut script = Script::default();
    // A leg every two minutes and a half for a week, each three hours long.
    for index in 0..4_100 {
        let started_at = start + jiff::SignedDuration::from_secs(index * 147);
        script
            .legs
            .extend([leg(started_at, started_at + jiff::SignedDuration::from_hours(3))]);
    }
    let last = *script.legs.last_key_value().unwrap().0;
    let mut collector = collector(script);
    let clock = (last.0 + jiff::SignedDuration::from_secs(1)).to_string();
    let mut poll = poll_at(&clock, Some("2026-02-03T08:00:00Z"));
    collector.window(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 4_100);
    assert_eq!(asked(&collector, "list_ended"), 3);
    let position = collector.store.position.borrow().clone();
    assert_eq!(position.window, Some(poll.clock));
    assert_eq!(position.backfilled_to, Some(poll.clock));
}

#[tokio::test(start_paused = true)]
async fn the_position_moves_with_the_page_it_was_listed_on() {
    let mut script = Script::default();
    let start = at("2026-02-03T08:00:00Z");
    for index in 0..2_500 {
        let moment = start + jiff::SignedDuration::from_secs(index);
        script.legs.extend([leg(moment, moment)]);
    }
    // The second page cannot be read to its end.
    let last = script.legs.len() - 1;
    let (place, _) = script
        .legs
        .iter()
        .nth(last)
        .map(|(place, line)| (*place, line))
        .unwrap();
    script.fail_on = Some(place.1.to_string());
    let mut collector = collector(script);
    let mut poll = poll_at("2026-02-03T12:00:00Z", Some("2026-02-03T08:00:00Z"));
    collector.window(&mut poll).await.unwrap_err();
    let window = collector.store.position.borrow().window.unwrap();
    assert_eq!(window, start + jiff::SignedDuration::from_secs(1_999));
    collector.source.fail_on = None;
    let mut poll = poll_at("2026-02-03T12:00:00Z", Some(&window.to_string()));
    collector.window(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 2_500);
}

#[tokio::test(start_paused = true)]
async fn a_source_s_clock_that_was_ahead_hides_nothing() {
    let mut script = Script::default();
    let early = at("2026-02-03T08:00:00Z");
    script.legs.extend([leg(early, early)]);
    let mut collector = collector(script);
    // The clock stood a month ahead at the latest poll.
    let mut poll = poll_at("2026-02-03T08:00:10Z", Some("2026-03-03T08:00:00Z"));
    collector.window(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 1);
    assert_eq!(poll.position.window, Some(poll.clock));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_page_is_taken_page_by_page_and_batch_by_batch() {
    let mut collector = collector(Script::with(1..=4_500));
    let mut poll = poll(0);
    collector.recordings(&mut poll).await.unwrap();
    assert_eq!(stored(&collector).len(), 4_500);
    assert_eq!(collector.store.position.borrow().recordings, Some(4_500));
    assert!(collector.store.batches.borrow().iter().all(|rows| *rows <= 200));
    assert_eq!(asked(&collector, "list_recordings"), 3);
    // A second poll lists the overlap and takes nothing.
    let fetched = asked(&collector, "fetch_recordings");
    collector.recordings(&mut poll).await.unwrap();
    assert_eq!(asked(&collector, "fetch_recordings"), fetched);
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_the_limit_is_asked_for_in_halves_and_one_huge_row_stops_nothing() {
    let mut script = Script::with(1..=100);
    script.most_rows = 7;
    script.huge = vec![42];
    let mut collector = collector(script);
    let ended = collector.recordings(&mut poll(0)).await;
    assert_eq!(ended, Err(CollectError::Garbled { rows: 1 }));
    let expected: Vec<i64> = (1..=100).filter(|number| *number != 42).collect();
    assert_eq!(stored(&collector), expected);
    // It may have been the reply and not the row: it is asked for again.
    collector.source.huge.clear();
    collector.recordings(&mut poll(100)).await.unwrap();
    assert_eq!(stored(&collector).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_no_row_is_left_out_until_it_changes() {
    let mut script = Script::with(1..=3);
    script.lines.insert(2, "[\"2\", \"nonsense\"]".to_owned());
    let mut collector = collector(script);
    collector.recordings(&mut poll(0)).await.unwrap();
    assert_eq!(stored(&collector), [1, 3]);
    // It is not asked for again while it is as it is.
    let fetched = asked(&collector, "fetch_recordings");
    collector.recordings(&mut poll(3)).await.unwrap();
    assert_eq!(asked(&collector, "fetch_recordings"), fetched);
    collector.source.lines.insert(2, line(2));
    collector.recordings(&mut poll(3)).await.unwrap();
    assert_eq!(stored(&collector), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_altered_row_is_not_stored_the_watermark_waits_below_it_and_it_comes_later() {
    let mut script = Script::with(1..=5);
    script.garbled = vec![2, 5];
    let mut collector = collector(script);
    let ended = collector.recordings(&mut poll(0)).await;
    assert_eq!(ended, Err(CollectError::Garbled { rows: 2 }));
    assert_eq!(stored(&collector), [1, 3, 4]);
    assert_eq!(collector.store.position.borrow().recordings, Some(4));
    collector.source.garbled.clear();
    collector.recordings(&mut poll(4)).await.unwrap();
    assert_eq!(stored(&collector), [1, 2, 3, 4, 5]);
}

/// Compares all recordings; how many did not arrive.
async fn reconcile(collector: &mut Collector<Script, Memory>) -> u64 {
    collector.reconcile::<Recording>(0, 100).await.unwrap().garbled
}

#[tokio::test(start_paused = true)]
async fn a_range_is_mended_once_and_what_the_source_lost_stays() {
    let mut collector = collector(Script::with(1..=10));
    assert_eq!(reconcile(&mut collector).await, 0);
    assert_eq!(stored(&collector).len(), 10);
    collector.source.lines.remove(&4);
    assert_eq!(reconcile(&mut collector).await, 0);
    let listed = asked(&collector, "list_recordings");
    assert_eq!(reconcile(&mut collector).await, 0);
    assert_eq!(asked(&collector, "list_recordings"), listed);
    assert_eq!(stored(&collector).len(), 10);
    // A change in the range is seen nevertheless.
    collector.source.lines.insert(11, line(11));
    assert_eq!(reconcile(&mut collector).await, 0);
    assert_eq!(stored(&collector).len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_range_with_an_altered_row_is_not_settled() {
    let mut script = Script::with(1..=10);
    script.garbled = vec![7];
    let mut collector = collector(script);
    assert_eq!(reconcile(&mut collector).await, 1);
    collector.source.garbled.clear();
    assert_eq!(reconcile(&mut collector).await, 0);
    assert_eq!(stored(&collector).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_hour_that_does_not_arrive_whole_holds_up_no_older_one_and_is_filled_by_a_sweep() {
    let mut script = Script::default();
    for hour in 1..=5 {
        let started_at = at("2026-02-10T08:00:00Z") - jiff::SignedDuration::from_hours(hour);
        script.legs.extend([leg(started_at, started_at)]);
    }
    let lost = floor_id(at("2026-02-10T05:00:00Z"));
    script.garbled_legs = vec![lost];
    let mut collector = collector(script);
    let mut poll = poll_at("2026-02-10T08:00:00Z", None);
    poll.position.backfilled_to = Some(poll.clock);
    collector.backfill(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 4);
    assert_eq!(
        collector.store.position.borrow().holes,
        [at("2026-02-10T05:00:00Z")]
    );

    // Days later the hour is behind the horizon of the sweep, and the hole is not.
    collector.source.lines.clear();
    poll.clock = at("2026-02-14T08:00:00Z");
    poll.position.swept_at = Some(at("2026-02-14T07:00:00Z"));
    let ended = collector.sweep(&mut poll).await;
    assert_eq!(ended, Err(CollectError::Garbled { rows: 1 }));
    assert_eq!(
        collector.store.position.borrow().holes,
        [at("2026-02-10T05:00:00Z")]
    );
    assert_eq!(
        collector.store.position.borrow().swept_at,
        Some(poll.clock),
        "it holds up nothing"
    );

    collector.source.garbled_legs.clear();
    poll.clock = at("2026-02-14T09:00:00Z");
    collector.sweep(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 5);
    assert!(collector.store.position.borrow().holes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_hour_that_cannot_be_compared_holds_up_no_other_and_is_tried_again() {
    let mut script = Script::default();
    for hour in 1..=4 {
        let started_at = at("2026-02-10T08:00:00Z") - jiff::SignedDuration::from_hours(hour);
        script.legs.extend([leg(started_at, started_at)]);
    }
    let bad = floor_id(at("2026-02-10T06:00:00Z"));
    script.fail_on = Some(format!(
        "cdr_id >= '{bad}' AND cdr_id < '{}'",
        floor_id(at("2026-02-10T07:00:00Z"))
    ));
    let mut collector = collector(script);
    let mut poll = poll_at("2026-02-10T08:00:00Z", None);
    for _ in 0..2 {
        assert!(collector.sweep(&mut poll).await.is_err());
    }
    assert_eq!(
        collector.sweep(&mut poll).await,
        Err(CollectError::Garbled { rows: 1 })
    );
    assert_eq!(collector.store.cdrs.borrow().len(), 3);
    assert_eq!(
        collector.store.position.borrow().holes,
        [at("2026-02-10T06:00:00Z")]
    );

    collector.source.fail_on = None;
    poll.clock = at("2026-02-10T09:00:00Z");
    collector.sweep(&mut poll).await.unwrap();
    assert_eq!(collector.store.cdrs.borrow().len(), 4);
    assert!(collector.store.position.borrow().holes.is_empty());
}
