//! A circuit breaker, in Fowler's sense: closed lets requests through, open refuses them.
//!
//! What does not answer is not asked again and again: after some failures in a row, or when many of the latest requests
//! failed, the breaker opens, and requests are refused at once. After a while the next real request goes through as a
//! probe: its outcome closes the breaker or opens it for longer. The rate is counted in windows that follow each other
//! rather than in one that slides: coarser, and simple enough to be sure of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::class::{Class, FailureClass};
use super::refused::Refused;
use crate::metric;
use crate::words::words;

/// Failures in a row that open it.
const CONSECUTIVE_FAILURES: u32 = 5;

/// Of at least so many requests in one window …
const MIN_REQUESTS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// … such a share opens it, in per cent.
const FAILURE_PERCENT: u32 = 50;

/// How long it stays open, by how many probes have failed.
const OPEN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// How soon to ask again while a probe is under way.
const PROBE_RETRY_AFTER: Duration = Duration::from_secs(1);

words! {
    /// The state of a circuit breaker.
    BreakerState {
        /// Requests go through.
        Closed = "closed",
        /// One request goes through, to see how it fares.
        HalfOpen = "half_open",
        /// Requests are refused.
        Open = "open",
    }
}

/// The breaker of one class of one actor's operations. Its clones are one breaker.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    actor: Arc<str>,
    class: Class,
    machine: Arc<Mutex<Machine>>,
}

#[derive(Debug)]
struct Machine {
    phase: Phase,
    /// Counts the changes of phase: what was admitted in an earlier one has no say.
    epoch: u64,
    /// Openings in a row without a success between them.
    openings: u32,
}

#[derive(Debug)]
enum Phase {
    Closed(Counts),
    Open { until: Instant },
    HalfOpen { probing: bool },
}

#[derive(Debug)]
struct Counts {
    consecutive_failures: u32,
    since: Instant,
    requests: u32,
    failures: u32,
}

impl Counts {
    fn new() -> Self {
        Self {
            consecutive_failures: 0,
            since: Instant::now(),
            requests: 0,
            failures: 0,
        }
    }

    /// Records an outcome; says whether the breaker has to open.
    fn record(&mut self, failure: bool) -> bool {
        if self.since.elapsed() > WINDOW {
            *self = Self {
                consecutive_failures: self.consecutive_failures,
                ..Self::new()
            };
        }
        self.requests += 1;
        if !failure {
            self.consecutive_failures = 0;
            return false;
        }
        self.consecutive_failures += 1;
        self.failures += 1;
        self.consecutive_failures >= CONSECUTIVE_FAILURES
            || (self.requests >= MIN_REQUESTS && self.failures * 100 >= self.requests * FAILURE_PERCENT)
    }
}

impl Breaker {
    pub(super) fn new(actor: &Arc<str>, class: Class) -> Self {
        metric::circuit_opened(actor.to_string(), class.as_str()).increment(0);
        Self {
            actor: Arc::clone(actor),
            class,
            machine: Arc::new(Mutex::new(Machine {
                phase: Phase::Closed(Counts::new()),
                epoch: 0,
                openings: 0,
            })),
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Open only as long as requests are refused: where none comes, nothing else would ever end that.
    pub(super) fn state(&self) -> BreakerState {
        let machine = self.machine();
        match machine.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Open { .. } if machine.check().is_ok() => BreakerState::HalfOpen,
            Phase::Open { .. } => BreakerState::Open,
        }
    }

    /// Whether a request would be let through now.
    pub(super) fn check(&self) -> Result<(), Refused> {
        self.machine().check()
    }

    /// Lets a request through; what becomes of it is told to the attempt.
    pub(super) fn admit(&self) -> Result<Attempt, Refused> {
        let mut machine = self.machine();
        machine.check()?;
        match &mut machine.phase {
            Phase::Closed(_) => {}
            Phase::HalfOpen { probing } => *probing = true,
            Phase::Open { .. } => {
                machine.phase = Phase::HalfOpen { probing: true };
                machine.epoch += 1;
            }
        }
        Ok(Attempt {
            breaker: self.clone(),
            epoch: machine.epoch,
            outcome: FailureClass::NotAsked,
        })
    }

    fn record(&self, attempt: &Attempt) {
        let mut machine = self.machine();
        if machine.epoch != attempt.epoch {
            return;
        }
        match (&mut machine.phase, attempt.outcome) {
            (Phase::Closed(_), FailureClass::NotAsked) | (Phase::Open { .. }, _) => {}
            (Phase::Closed(counts), outcome) => {
                if counts.record(outcome.is_failure()) {
                    self.open(&mut machine);
                }
            }
            (Phase::HalfOpen { .. }, FailureClass::Answered) => {
                machine.epoch += 1;
                machine.openings = 0;
                machine.phase = Phase::Closed(Counts::new());
                drop(machine);
                tracing::info!(actor = %self.actor, class = self.class.as_str(), "circuit closed");
            }
            (Phase::HalfOpen { .. }, FailureClass::Failed | FailureClass::TimedOut) => {
                self.open(&mut machine)
            }
            // The next request is the probe.
            (Phase::HalfOpen { probing }, FailureClass::NotAsked) => *probing = false,
        }
    }

    fn open(&self, machine: &mut Machine) {
        let time = OPEN.delay(machine.openings);
        machine.epoch += 1;
        machine.openings = machine.openings.saturating_add(1);
        machine.phase = Phase::Open {
            until: Instant::now() + time,
        };
        let class = self.class.as_str();
        metric::circuit_opened(self.actor.to_string(), class).increment(1);
        tracing::warn!(actor = %self.actor, class, openings = machine.openings, ?time, "circuit opened");
    }
}

impl Machine {
    fn check(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Closed(_) | Phase::HalfOpen { probing: false } => Ok(()),
            Phase::HalfOpen { probing: true } => Err(Refused::CircuitOpen {
                retry_after: PROBE_RETRY_AFTER,
            }),
            Phase::Open { until } => match until.checked_duration_since(Instant::now()) {
                Some(retry_after) if !retry_after.is_zero() => Err(Refused::CircuitOpen { retry_after }),
                Some(_) | None => Ok(()),
            },
        }
    }
}

/// A request that was let through. It travels with the work, so that its outcome counts whether or not anybody still
/// waits for it; dropped before the work was done, it says nothing.
#[derive(Debug)]
pub(super) struct Attempt {
    breaker: Breaker,
    epoch: u64,
    outcome: FailureClass,
}

impl Attempt {
    /// Tells how it ended.
    pub(super) fn settle(mut self, outcome: FailureClass) {
        self.outcome = outcome;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.breaker.record(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(&"probe".into(), Class::Originate)
    }

    fn end(breaker: &Breaker, outcome: FailureClass) {
        breaker.admit().unwrap().settle(outcome);
    }

    fn retry_after(refused: Refused) -> Duration {
        let Refused::CircuitOpen { retry_after } = refused else {
            panic!("{refused:?}");
        };
        retry_after
    }

    fn opened() -> Breaker {
        let breaker = breaker();
        for _ in 0..CONSECUTIVE_FAILURES {
            assert_eq!(breaker.state(), BreakerState::Closed);
            end(&breaker, FailureClass::Failed);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn failures_consecutive_failures_open_it_and_a_success_between_them_counts_anew() {
        let breaker = breaker();
        for _ in 0..3 {
            for _ in 1..CONSECUTIVE_FAILURES {
                end(&breaker, FailureClass::Failed);
            }
            end(&breaker, FailureClass::Answered);
        }
        // Those were 12 failures of 15: too few to be a share.
        assert_eq!(breaker.state(), BreakerState::Closed);
        let refused = opened().admit().unwrap_err();
        assert!(
            (SECOND / 2..=SECOND).contains(&retry_after(refused)),
            "{refused:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_failures_within_a_window_opens_it() {
        let breaker = breaker();
        let mut asked = 0;
        while breaker.state() == BreakerState::Closed {
            end(
                &breaker,
                if asked % 2 == 0 {
                    FailureClass::Failed
                } else {
                    FailureClass::Answered
                },
            );
            asked += 1;
        }
        assert_eq!(asked, 21, "half of 20 is enough, and takes a failure to be seen");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_are_no_share_and_few_are_none() {
        let breaker = breaker();
        for n in 0..200 {
            end(
                &breaker,
                if n % 3 == 0 {
                    FailureClass::Failed
                } else {
                    FailureClass::Answered
                },
            );
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "a third is not half");
        for _ in 0..50 {
            tokio::time::advance(2 * SECOND).await;
            end(&breaker, FailureClass::Failed);
            end(&breaker, FailureClass::Answered);
        }
        assert_eq!(
            breaker.state(),
            BreakerState::Closed,
            "ten in a window are too few"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_is_the_probe_and_its_success_closes_it() {
        let breaker = opened();
        tokio::time::advance(SECOND).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "with nobody asking");
        let probe = breaker.admit().unwrap();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(
            breaker.check(),
            Err(Refused::CircuitOpen {
                retry_after: PROBE_RETRY_AFTER
            })
        );
        assert!(breaker.admit().is_err(), "only one");
        probe.settle(FailureClass::Answered);
        assert_eq!(breaker.state(), BreakerState::Closed);
        for _ in 1..CONSECUTIVE_FAILURES {
            end(&breaker, FailureClass::Failed);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "counted anew");
    }

    #[tokio::test(start_paused = true)]
    async fn each_probe_that_fails_opens_it_for_longer_up_to_a_bound() {
        let breaker = opened();
        for longest in [2, 4, 8, 16, 30, 30] {
            tokio::time::advance(30 * SECOND).await;
            end(&breaker, FailureClass::Failed);
            let wait = retry_after(breaker.check().unwrap_err());
            assert!(
                (longest * SECOND / 2..=longest * SECOND).contains(&wait),
                "{wait:?} of {longest} s"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_never_sent_leaves_its_place_to_the_next() {
        let breaker = opened();
        tokio::time::advance(SECOND).await;
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        end(&breaker, FailureClass::NotAsked);
        end(&breaker, FailureClass::Answered);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_let_through_before_has_no_say_after() {
        let breaker = breaker();
        let late: Vec<Attempt> = (0..3).map(|_| breaker.admit().unwrap()).collect();
        for _ in 0..CONSECUTIVE_FAILURES {
            end(&breaker, FailureClass::Failed);
        }
        let [first, second, third] = late.try_into().unwrap();
        first.settle(FailureClass::Answered);
        assert_eq!(breaker.state(), BreakerState::Open);
        tokio::time::advance(SECOND).await;
        let probe = breaker.admit().unwrap();
        second.settle(FailureClass::Failed);
        drop(third);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit().is_err(), "the probe is still under way");
        probe.settle(FailureClass::Answered);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_thousand_callers_of_what_is_down_few_reach_it() {
        let breaker = breaker();
        let mut reached = 0;
        for _ in 0..1_000 {
            if let Ok(attempt) = breaker.admit() {
                attempt.settle(FailureClass::Failed);
                reached += 1;
            }
            tokio::time::advance(SECOND / 10).await;
        }
        // Five to open it, then one a probe: after some 1, 2, 4, 8, 16, 30 s of the 100.
        assert!((9..=14).contains(&reached), "{reached}");
    }
}
