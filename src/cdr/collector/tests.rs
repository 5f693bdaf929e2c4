//! What a collector makes of bad answers, with a scripted source and a store in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::memory::Memory;
use super::ports::{CollectError, Source};
use super::*;
use crate::actor::AskError;
use crate::cdr::{Recording, digest};
use crate::pac::{PacError, Rows, Statement};

/// A `recordings` table: numbers and lines.
#[derive(Default)]
struct Script {
    lines: BTreeMap<i64, String>,
    /// Replies with more rows than this are too large.
    most_rows: usize,
    /// These lines arrive altered.
    garbled: Vec<i64>,
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

fn numbers(text: &str, before: &str, after: &str) -> Vec<i64> {
    let (_, rest) = text.split_once(before).unwrap();
    let (list, _) = rest.split_once(after).unwrap();
    list.split(", ").map(|number| number.parse().unwrap()).collect()
}

impl Source for Script {
    async fn query(&self, statement: Statement) -> Result<Rows, CollectError> {
        let name = statement.name();
        let text = statement.text();
        self.asked.borrow_mut().push(name.to_owned());
        let rows: Rows = match name {
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

fn look(recordings: i64) -> Look {
    Look {
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

#[tokio::test]
async fn more_than_a_page_is_taken_page_by_page_and_batch_by_batch() {
    let mut collector = collector(Script::with(1..=4_500));
    let mut look = look(0);
    collector.recordings(&mut look).await.unwrap();
    assert_eq!(stored(&collector).len(), 4_500);
    assert_eq!(collector.store.position.borrow().recordings, Some(4_500));
    assert!(collector.store.batches.borrow().iter().all(|rows| *rows <= 200));
    assert_eq!(asked(&collector, "list_recordings"), 3);
    // A second look lists the overlap and takes nothing.
    let fetched = asked(&collector, "fetch_recordings");
    collector.recordings(&mut look).await.unwrap();
    assert_eq!(asked(&collector, "fetch_recordings"), fetched);
}

#[tokio::test]
async fn a_reply_over_the_limit_is_asked_for_in_halves_and_one_huge_row_stops_nothing() {
    let mut script = Script::with(1..=100);
    script.most_rows = 7;
    script.huge = vec![42];
    let mut collector = collector(script);
    collector.recordings(&mut look(0)).await.unwrap();
    let expected: Vec<i64> = (1..=100).filter(|number| *number != 42).collect();
    assert_eq!(stored(&collector), expected);
    // It is not asked for again while it is as it is.
    let fetched = asked(&collector, "fetch_recordings");
    collector.recordings(&mut look(100)).await.unwrap();
    assert_eq!(asked(&collector, "fetch_recordings"), fetched);
}

#[tokio::test]
async fn a_row_that_is_no_row_is_left_out_until_it_changes() {
    let mut script = Script::with(1..=3);
    script.lines.insert(2, "[\"2\", \"nonsense\"]".to_owned());
    let mut collector = collector(script);
    collector.recordings(&mut look(0)).await.unwrap();
    assert_eq!(stored(&collector), [1, 3]);
    collector.source.lines.insert(2, line(2));
    collector.recordings(&mut look(3)).await.unwrap();
    assert_eq!(stored(&collector), [1, 2, 3]);
}

#[tokio::test]
async fn an_altered_row_is_not_stored_the_watermark_waits_below_it_and_it_comes_later() {
    let mut script = Script::with(1..=5);
    script.garbled = vec![2, 5];
    let mut collector = collector(script);
    let ended = collector.recordings(&mut look(0)).await;
    assert_eq!(ended, Err(CollectError::Garbled { rows: 2 }));
    assert_eq!(stored(&collector), [1, 3, 4]);
    assert_eq!(collector.store.position.borrow().recordings, Some(4));
    collector.source.garbled.clear();
    collector.recordings(&mut look(4)).await.unwrap();
    assert_eq!(stored(&collector), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_range_is_mended_once_and_what_the_source_lost_stays() {
    let mut collector = collector(Script::with(1..=10));
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(0));
    assert_eq!(stored(&collector).len(), 10);
    collector.source.lines.remove(&4);
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(0));
    let listed = asked(&collector, "list_recordings");
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(0));
    assert_eq!(asked(&collector, "list_recordings"), listed);
    assert_eq!(stored(&collector).len(), 10);
    // A change in the range is seen nevertheless.
    collector.source.lines.insert(11, line(11));
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(0));
    assert_eq!(stored(&collector).len(), 11);
}

#[tokio::test]
async fn a_range_with_an_altered_row_is_not_settled() {
    let mut script = Script::with(1..=10);
    script.garbled = vec![7];
    let mut collector = collector(script);
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(1));
    collector.source.garbled.clear();
    assert_eq!(collector.reconcile::<Recording>(0, 100).await, Ok(0));
    assert_eq!(stored(&collector).len(), 10);
}
