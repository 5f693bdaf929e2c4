//! Sends what is due.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::outcome::Attempt;
use super::plan::{Party, Plan};
use super::tally::Tally;

/// A request that this program itself came to later than this is not sent: the rate would not be the one that was asked
/// for, and the end would not come in time.
const MAX_LAG: Duration = Duration::from_secs(1);

/// Between two calls of `progress`.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Sends each request of the plan when it is due and counts what became of it, until all have ended or `stop` does;
/// what is under way then is dropped and counted as unfinished. `send` has to end by itself. `progress` is given what was
/// counted so far.
///
/// Times are good to a millisecond or two, as the runtime's timer.
///
/// # Cancel safety
/// Dropped, it drops the requests that are under way and what was counted.
pub async fn generate<F>(
    plan: &Plan,
    send: impl Fn(Party) -> F,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(&Tally),
) -> Tally
where
    F: Future<Output = Attempt>,
{
    let mut tally = Tally::default();
    let mut under_way = FuturesUnordered::new();
    let started = Instant::now();
    let mut stop = pin!(stop);
    let mut next_due = pin!(sleep_until(started));
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while tally.due < plan.total() || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = &mut next_due, if tally.due < plan.total() => {
                let now = Instant::now();
                while tally.due < plan.total() {
                    let due = started + plan.due(tally.due);
                    if due > now {
                        next_due.as_mut().reset(due);
                        break;
                    }
                    let party = plan.party(tally.due);
                    let lag = now - due;
                    tally.due += 1;
                    tally.greatest_lag = tally.greatest_lag.max(lag);
                    if under_way.len() >= plan.max_in_flight || lag > MAX_LAG {
                        tally.not_sent += 1;
                        continue;
                    }
                    tally.count_sent(party);
                    let request = send(party);
                    under_way.push(async move { (request.await, due.elapsed()) });
                }
            }
            Some((attempt, latency)) = under_way.next() => {
                tally.record(attempt, latency);
                if started.elapsed() <= plan.duration() {
                    tally.accepted_in_time = tally.accepted;
                }
            }
            _ = ticks.tick() => progress(&tally),
        }
    }
    tally.unfinished = under_way.len() as u64;
    tally.elapsed = started.elapsed();
    let all_due = tally.due == plan.total();
    tally.sending = if all_due { plan.duration() } else { tally.elapsed };
    tally
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::pending;

    use tokio::time::{advance, sleep};

    use super::super::outcome::Outcome;
    use super::super::plan::tests::plan;
    use super::*;

    fn accepted() -> Attempt {
        Outcome::answered(200, b"").into()
    }

    /// Every request was sent or not, and every one that was sent ended or is unfinished.
    fn assert_adds_up(tally: &Tally) {
        assert_eq!(tally.due, tally.sent() + tally.not_sent);
        assert_eq!(tally.sent(), tally.ended() + tally.unfinished);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_leave_at_their_times_whatever_became_of_those_before() {
        let started = Instant::now();
        let left = RefCell::new(Vec::new());
        let send = |_| {
            left.borrow_mut().push(started.elapsed());
            let first = left.borrow().len() == 1;
            async move {
                // The first holds nobody up.
                sleep(Duration::from_millis(if first { 900 } else { 10 })).await;
                accepted()
            }
        };
        let tally = generate(&plan(100, 1, 10), send, pending(), |_| {}).await;
        assert_adds_up(&tally);
        assert_eq!((tally.due, tally.sent(), tally.accepted), (100, 100, 100));
        for (n, at) in left.borrow().iter().enumerate() {
            let due = plan(100, 1, 10).due(n as u64);
            assert!(*at >= due && *at - due <= Duration::from_millis(2), "{n}: {at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn latency_counts_from_when_a_request_was_due() {
        let sent = Cell::new(0);
        let send = |_| {
            sent.set(sent.get() + 1);
            let stalls = sent.get() == 50;
            async move {
                if stalls {
                    // The whole program stands still.
                    advance(Duration::from_millis(400)).await;
                }
                accepted()
            }
        };
        let tally = generate(&plan(100, 1, 1_000), send, pending(), |_| {}).await;
        assert_adds_up(&tally);
        assert_eq!(tally.sent(), 100, "what was late is sent all the same");
        assert!(tally.greatest_lag >= Duration::from_millis(380));
        let (_, measured) = tally.outcomes.first_key_value().unwrap();
        let slow = measured.latency.count_between(100_000, 500_000);
        assert!((30..=42).contains(&slow), "{slow} waited over 100 ms");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_beyond_the_bound_is_not_sent_and_said_so() {
        let send = |_| async {
            sleep(Duration::from_secs(30)).await;
            Outcome::NoAnswer.into()
        };
        let tally = generate(&plan(10, 10, 4), send, pending(), |_| {}).await;
        assert_adds_up(&tally);
        assert_eq!((tally.due, tally.sent(), tally.not_sent), (100, 4, 96));
        assert_eq!(tally.ended(), 4, "those under way are waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stall_of_its_own_the_oldest_are_not_sent() {
        let sent = Cell::new(0);
        let send = |_| {
            sent.set(sent.get() + 1);
            let stalls = sent.get() == 1;
            async move {
                if stalls {
                    advance(Duration::from_secs(5)).await;
                }
                accepted()
            }
        };
        let tally = generate(&plan(10, 10, 1_000), send, pending(), |_| {}).await;
        assert_adds_up(&tally);
        assert!((38..=40).contains(&tally.not_sent), "{}", tally.not_sent);
        assert!(tally.elapsed < Duration::from_secs(11), "{:?}", tally.elapsed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_accepted_after_the_last_was_due_is_not_in_time() {
        let send = |_| async {
            sleep(Duration::from_millis(2_450)).await;
            accepted()
        };
        let tally = generate(&plan(10, 5, 100), send, pending(), |_| {}).await;
        assert_adds_up(&tally);
        // Those that were due by 2.5 s.
        assert_eq!((tally.accepted, tally.accepted_in_time), (50, 26));
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_early_it_tells_of_what_was_until_then() {
        let send = |_| async {
            sleep(Duration::from_millis(1_500)).await;
            accepted()
        };
        let calls = Cell::new(0);
        let progress = |tally: &Tally| {
            calls.set(calls.get() + 1);
            assert!(tally.ended() <= tally.sent());
        };
        let stop = sleep(Duration::from_millis(2_050));
        let tally = generate(&plan(10, 3_600, 100), send, stop, progress).await;
        assert_adds_up(&tally);
        assert_eq!((tally.due, tally.unfinished), (21, 15));
        assert_eq!(tally.sending, tally.elapsed);
        assert!(calls.get() >= 10);
    }
}
