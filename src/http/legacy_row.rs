//! A row of `POST cdr` as the original renders it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::cdr::LegacyRow;

const SECOND: u64 = 1_000_000;

/// The row with its keys in the original's order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenderedRow<'a> {
    /// The call: 3CX's `call_history_id`.
    #[schema(example = "00000000-01dd-7a15-d07f-8ab0000f4240")]
    call_id: Uuid,
    /// The leg.
    #[schema(example = "00000000-01dd-7a15-d07f-8ab000000000")]
    cdr_id: Uuid,
    /// Whether somebody or something answered it: queues and scripts do too.
    #[schema(example = true)]
    answered: bool,
    /// Where it went: the extension, or else the number.
    #[schema(example = "100")]
    destination_caller_id: Option<&'a str>,
    /// From its start to the answer, or to its end, as `HH:MM:SS.ffffff`.
    #[schema(value_type = String, example = "00:00:08.000000")]
    ringing_duration: Clock,
    /// Where it came from.
    #[schema(example = "79100000000")]
    source_caller_id: Option<&'a str>,
    /// When it began, in UTC.
    #[schema(value_type = String, example = "2026-11-22T00:10:00.190429+00:00")]
    start_time: Moment,
    /// From the answer to its end, as `HH:MM:SS.ffffff`.
    #[schema(value_type = String, example = "00:00:40.000000")]
    talking_duration: Clock,
    /// A link to its recording.
    #[schema(
        example = "https://pbx.example/monitor/100/%5BName%5D_100-79100000000_20261122001008%281%29.wav"
    )]
    recording_url: Option<String>,
}

impl<'a> RenderedRow<'a> {
    /// Renders a row with the link to its recording, if it has one.
    pub(super) fn new(row: &'a LegacyRow, recording_url: Option<String>) -> Self {
        let answered_or_ended = row.answered_at.unwrap_or(row.ended_at);
        Self {
            call_id: row.call_history_id,
            cdr_id: row.cdr_id,
            answered: row.answered_at.is_some(),
            destination_caller_id: row.destination_number.as_deref(),
            ringing_duration: Clock::between(row.started_at, answered_or_ended),
            source_caller_id: row.source_number.as_deref(),
            start_time: Moment(row.started_at),
            talking_duration: Clock::between(answered_or_ended, row.ended_at),
            recording_url,
        }
    }
}

/// Microseconds as `HH:MM:SS.ffffff`, with more digits of hours from 100 on.
#[derive(Debug)]
struct Clock(i64);

impl Clock {
    fn between(from: Timestamp, until: Timestamp) -> Self {
        Self(until.as_microsecond() - from.as_microsecond())
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let (seconds, fraction) = (micros / SECOND, micros % SECOND);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        serializer.collect_str(&format_args!(
            "{sign}{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}"
        ))
    }
}

/// A moment in UTC as PostgreSQL has it in JSON: as many digits of the fraction as there are, six at most.
#[derive(Debug)]
struct Moment(Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = self.0.strftime("%Y-%m-%dT%H:%M:%S");
        let micros = self.0.as_microsecond().rem_euclid(1_000_000);
        let fraction = format!(".{micros:06}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        serializer.collect_str(&format_args!("{whole}{fraction}+00:00"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LegacyRow {
        LegacyRow {
            call_history_id: "00000000-01dd-7a15-d07f-8ab0000f4240".parse().unwrap(),
            cdr_id: "00000000-01dd-7a15-d07f-8ab000000000".parse().unwrap(),
            started_at: "2026-11-22T00:10:00.190429Z".parse().unwrap(),
            answered_at: Some("2026-11-22T00:10:08.190429Z".parse().unwrap()),
            ended_at: "2026-11-22T00:10:48.190429Z".parse().unwrap(),
            source_number: Some("79100000000".to_owned()),
            destination_number: Some("100".to_owned()),
            id_recording: None,
            recording_url: None,
        }
    }

    fn rendered(row: &LegacyRow) -> serde_json::Value {
        serde_json::to_value(RenderedRow::new(row, None)).unwrap()
    }

    #[test]
    fn is_what_the_original_answers_letter_by_letter() {
        let expected = concat!(
            r#"{"call_id":"00000000-01dd-7a15-d07f-8ab0000f4240","cdr_id":"00000000-01dd-7a15-d07f-8ab000000000","#,
            r#""answered":true,"destination_caller_id":"100","ringing_duration":"00:00:08.000000","#,
            r#""source_caller_id":"79100000000","start_time":"2026-11-22T00:10:00.190429+00:00","#,
            r#""talking_duration":"00:00:40.000000","recording_url":null}"#,
        );
        assert_eq!(
            serde_json::to_string(&RenderedRow::new(&row(), None)).unwrap(),
            expected
        );
    }

    #[test]
    fn a_call_that_was_not_answered_rang_until_its_end_and_was_not_talked_on() {
        let row = LegacyRow {
            answered_at: None,
            ..row()
        };
        let rendered = rendered(&row);
        assert_eq!(rendered["answered"], false);
        assert_eq!(rendered["ringing_duration"], "00:00:48.000000");
        assert_eq!(rendered["talking_duration"], "00:00:00.000000");
    }

    #[test]
    fn a_start_has_no_trailing_zeros() {
        for (at, expected) in [
            ("2026-11-22T00:10:00.845860Z", "2026-11-22T00:10:00.84586+00:00"),
            ("2026-11-22T00:10:00Z", "2026-11-22T00:10:00+00:00"),
            ("2026-11-22T00:10:10.000001Z", "2026-11-22T00:10:10.000001+00:00"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5+00:00"),
        ] {
            let row = LegacyRow {
                started_at: at.parse().unwrap(),
                ..row()
            };
            assert_eq!(rendered(&row)["start_time"], expected);
        }
    }

    #[test]
    fn durations_have_six_digits_of_the_fraction_and_as_many_hours_as_there_are() {
        for (ended, expected) in [
            ("2026-11-22T00:10:08.190430Z", "00:00:00.000001"),
            ("2026-11-23T01:11:10.690429Z", "25:01:02.500000"),
            ("2026-11-26T04:10:08.190429Z", "100:00:00.000000"),
            ("2026-11-22T00:10:07.190429Z", "-00:00:01.000000"),
        ] {
            let row = LegacyRow {
                ended_at: ended.parse().unwrap(),
                ..row()
            };
            assert_eq!(rendered(&row)["talking_duration"], expected);
        }
    }
}
