//! What was counted and measured.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::outcome::{Attempt, Outcome};
use super::plan::Party;

/// Outcomes that are told apart; of any more the code is dropped.
const MAX_OUTCOMES: usize = 32;

/// The longest latency that is told from longer ones, in microseconds.
const MAX_MICROS: u64 = 120_000_000;

/// What became of the requests so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests that became due: each was sent or not sent.
    pub due: u64,
    pub(super) sent_to_answers: u64,
    pub(super) sent_to_busy: u64,
    /// Requests that became due and were not sent.
    pub not_sent: u64,
    pub(super) unfinished: u64,
    /// Requests that were carried out.
    pub accepted: u64,
    /// Of those, the ones that had ended while requests became due.
    pub(super) accepted_in_time: u64,
    pub(super) greatest_lag: Duration,
    /// For how long requests became due, and from the start to the end of the last one.
    pub(super) sending: Duration,
    pub(super) elapsed: Duration,
    pub(super) outcomes: BTreeMap<Outcome, Measured>,
}

/// The requests with one outcome.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// From when each was due to its end, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// The least and the greatest `Retry-After`, in seconds.
    pub(super) retry_after_s: Option<(u64, u64)>,
}

impl Tally {
    /// Requests that were sent.
    pub fn sent(&self) -> u64 {
        self.sent_to_answers + self.sent_to_busy
    }

    /// Requests that have ended.
    pub fn ended(&self) -> u64 {
        self.outcomes
            .values()
            .map(|measured| measured.latency.len())
            .sum()
    }

    pub(super) fn count_sent(&mut self, party: Party) {
        match party {
            Party::Answers => self.sent_to_answers += 1,
            Party::Busy => self.sent_to_busy += 1,
        }
    }

    pub(super) fn record(&mut self, attempt: Attempt, latency: Duration) {
        let Attempt {
            mut outcome,
            retry_after_s,
        } = attempt;
        self.accepted += u64::from(outcome.is_accepted());
        if self.outcomes.len() >= MAX_OUTCOMES
            && !self.outcomes.contains_key(&outcome)
            && let Outcome::Answered { code, .. } = &mut outcome
        {
            *code = None;
        }
        let measured = self.outcomes.entry(outcome).or_insert_with(|| Measured {
            latency: histogram(),
            retry_after_s: None,
        });
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MAX_MICROS);
        measured.latency.saturating_record(micros.clamp(1, MAX_MICROS));
        if let Some(seconds) = retry_after_s {
            let (least, greatest) = measured.retry_after_s.unwrap_or((seconds, seconds));
            measured.retry_after_s = Some((least.min(seconds), greatest.max(seconds)));
        }
    }
}

/// Three significant digits, up to [`MAX_MICROS`].
#[expect(clippy::expect_used, reason = "only bounds that make no sense are refused")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_MICROS, 3).expect("sound bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Outcome {
        Outcome::Answered {
            status,
            code: Some(code.to_owned()),
        }
    }

    #[test]
    fn each_outcome_has_its_own_latencies_and_waits() {
        let mut tally = Tally::default();
        tally.record(Outcome::answered(200, b"").into(), Duration::from_millis(5));
        for seconds in [2, 1, 5] {
            let refused = Attempt {
                outcome: answered(503, "saturated"),
                retry_after_s: Some(seconds),
            };
            tally.record(refused, Duration::from_secs(500));
        }
        assert_eq!((tally.ended(), tally.accepted), (4, 1));
        let refused = &tally.outcomes[&answered(503, "saturated")];
        assert_eq!(refused.retry_after_s, Some((1, 5)));
        assert_eq!(refused.latency.len(), 3);
        assert!(refused.latency.max() >= MAX_MICROS, "saturates");
    }

    #[test]
    fn a_server_that_makes_codes_up_does_not_fill_the_memory() {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            let outcome = answered(500, &format!("code_{n}"));
            tally.record(outcome.into(), Duration::from_millis(1));
        }
        assert_eq!(tally.ended(), 1_000);
        assert_eq!(tally.outcomes.len(), MAX_OUTCOMES + 1);
    }
}
