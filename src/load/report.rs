//! What is told at the end.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::outcome::Outcome;
use super::plan::Plan;
use super::tally::{Measured, Tally, histogram};

/// A run, for programs as JSON and for people as a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The rate that was asked for, in requests a second.
    pub rate_per_s: u32,
    /// For how many seconds it was asked for.
    pub duration_s: u32,
    /// How many requests might be under way at once.
    pub max_in_flight: usize,
    /// From the start to the end of the last request, in seconds.
    pub elapsed_s: f64,
    /// Whether it was ended before all had become due and ended.
    pub stopped: bool,
    /// Requests that became due: the sum of the three that follow.
    pub due: u64,
    /// Sent for the number that answers.
    pub sent_answer: u64,
    /// Sent for the busy number.
    pub sent_busy: u64,
    /// Became due while too many were under way, or while this program itself was late by more than a second.
    pub not_sent: u64,
    /// Sent, and still under way when it was stopped.
    pub unfinished: u64,
    /// Requests sent in a second.
    pub sent_per_s: f64,
    /// Requests that were answered with 2xx in a second, as long as requests became due.
    pub accepted_per_s: f64,
    /// How late this program itself was at most, in milliseconds: where that is much, it needs a machine of its own.
    pub greatest_lag_ms: f64,
    /// From when a request was due to its end, whatever that was; none where none ended.
    pub latency: Option<Latency>,
    /// What became of the requests.
    pub outcomes: Vec<OutcomeReport>,
}

/// The requests with one outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutcomeReport {
    /// Which.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
    /// The least and the greatest `Retry-After` of the answers, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<(u64, u64)>,
    /// From when each was due to its end.
    pub latency: Latency,
}

/// Latencies, in milliseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// 90 of a hundred took no longer.
    pub p90_ms: f64,
    /// 99 of a hundred took no longer.
    pub p99_ms: f64,
    /// 999 of a thousand took no longer.
    pub p99_9_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Report {
    /// Of a run of a plan.
    pub fn new(plan: &Plan, tally: &Tally) -> Self {
        let mut all = histogram();
        for measured in tally.outcomes.values() {
            // All have the same bounds.
            let _ = all.add(&measured.latency);
        }
        Self {
            rate_per_s: plan.rate_per_s.get(),
            duration_s: plan.duration_s,
            max_in_flight: plan.max_in_flight,
            elapsed_s: rounded(tally.elapsed.as_secs_f64()),
            stopped: tally.due < plan.total() || tally.unfinished > 0,
            due: tally.due,
            sent_answer: tally.sent_to_answers,
            sent_busy: tally.sent_to_busy,
            not_sent: tally.not_sent,
            unfinished: tally.unfinished,
            sent_per_s: per_second(tally.sent(), tally.sending),
            accepted_per_s: per_second(tally.accepted_in_time, tally.sending),
            greatest_lag_ms: rounded(tally.greatest_lag.as_secs_f64() * 1_000.0),
            latency: (!all.is_empty()).then(|| Latency::of(&all)),
            outcomes: tally.outcomes.iter().map(outcome_report).collect(),
        }
    }
}

fn outcome_report((outcome, measured): (&Outcome, &Measured)) -> OutcomeReport {
    OutcomeReport {
        outcome: outcome.clone(),
        count: measured.latency.len(),
        retry_after_s: measured.retry_after_s,
        latency: Latency::of(&measured.latency),
    }
}

impl Latency {
    fn of(micros: &Histogram<u64>) -> Self {
        let at = |quantile| milliseconds(micros.value_at_quantile(quantile));
        Self {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: milliseconds(micros.max()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of minutes, far below 2^52"
)]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: u64, time: Duration) -> f64 {
    // Before the first request was due there is no rate.
    rounded(count as f64 / time.as_secs_f64().max(0.001))
}

/// To three decimals: what is beyond is noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.sent_answer + self.sent_busy;
        writeln!(
            f,
            "{} originates became due at {}/s, {sent} were sent ({} of them to the busy number), {} were not",
            self.due, self.rate_per_s, self.sent_busy, self.not_sent
        )?;
        writeln!(
            f,
            "sent {:.1}/s, accepted {:.1}/s; {} still under way at the end",
            self.sent_per_s, self.accepted_per_s, self.unfinished
        )?;
        writeln!(
            f,
            "\n{:<36} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "milliseconds from when it was due", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for outcome in &self.outcomes {
            row(f, &outcome.outcome.to_string(), outcome.count, &outcome.latency)?;
        }
        if let Some(latency) = self.latency.filter(|_| self.outcomes.len() > 1) {
            let count = self.outcomes.iter().map(|outcome| outcome.count).sum();
            row(f, "all", count, &latency)?;
        }
        for outcome in &self.outcomes {
            if let Some((least, greatest)) = outcome.retry_after_s {
                writeln!(f, "{}: Retry-After {least} to {greatest} s", outcome.outcome)?;
            }
        }
        if self.not_sent > 0 {
            writeln!(
                f,
                "not sent: more than --max-in-flight {} would have been under way, or this program was late (by {:.0} ms at most)",
                self.max_in_flight, self.greatest_lag_ms
            )?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, latency: &Latency) -> fmt::Result {
    let Latency {
        p50_ms,
        p90_ms,
        p99_ms,
        p99_9_ms,
        max_ms,
    } = latency;
    writeln!(
        f,
        "{name:<36} {count:>9} {p50_ms:>9.1} {p90_ms:>9.1} {p99_ms:>9.1} {p99_9_ms:>9.1} {max_ms:>9.1}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Attempt;
    use super::super::plan::Party;
    use super::super::plan::tests::plan;
    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally {
            due: 20,
            not_sent: 5,
            accepted_in_time: 9,
            elapsed: Duration::from_millis(2_500),
            sending: Duration::from_secs(2),
            ..Tally::default()
        };
        for n in 0..15 {
            tally.count_sent(if n < 3 { Party::Busy } else { Party::Answers });
        }
        for _ in 0..10 {
            tally.record(Outcome::answered(200, b"").into(), Duration::from_millis(4));
        }
        let refused = Attempt {
            outcome: Outcome::answered(503, br#"{"code":"saturated"}"#),
            retry_after_s: Some(1),
        };
        for _ in 0..5 {
            tally.record(refused.clone(), Duration::from_micros(500));
        }
        tally
    }

    #[test]
    fn programs_get_numbers_that_add_up() {
        let report = serde_json::to_value(Report::new(&plan(10, 2, 8), &tally())).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(
            count("due"),
            count("sent_answer") + count("sent_busy") + count("not_sent")
        );
        assert_eq!(report["sent_per_s"], 7.5);
        assert_eq!(report["accepted_per_s"], 4.5);
        assert_eq!(report["stopped"], false);
        let [accepted, refused] = report["outcomes"].as_array().unwrap().as_slice() else {
            panic!("{report}");
        };
        assert_eq!(
            (&accepted["status"], &accepted["count"]),
            (&200.into(), &10.into())
        );
        assert!(accepted.get("code").is_none());
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&503.into(), &"saturated".into())
        );
        assert_eq!(refused["retry_after_s"], serde_json::json!([1, 1]));
        assert_eq!(refused["latency"]["p99_9_ms"], 0.5);
    }

    #[test]
    fn people_get_a_table() {
        let text = Report::new(&plan(10, 2, 8), &tally()).to_string();
        for line in [
            "20 originates became due at 10/s, 15 were sent (3 of them to the busy number), 5 were not",
            "sent 7.5/s, accepted 4.5/s; 0 still under way at the end",
            "503 saturated: Retry-After 1 to 1 s",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_run_in_which_nothing_ended_can_be_told() {
        let report = Report::new(&plan(10, 2, 8), &Tally::default());
        assert!(report.stopped && report.latency.is_none());
        assert!(report.to_string().starts_with("0 originates"));
    }
}
