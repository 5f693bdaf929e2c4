use futures_util::future::join_all;
use tokio::time::{advance, sleep, timeout};

use super::*;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn pacer(calls_per_s: u32) -> Pacer {
    Pacer::new(NonZeroU32::new(calls_per_s).unwrap())
}

fn limits(waiting: usize, wait_ms: u64) -> Limits {
    Limits {
        in_flight: 1,
        waiting,
        wait_ms,
    }
}

/// When a call left, in milliseconds from `begun` on; or when to try again.
async fn left(pacer: &Pacer, limits: Limits, begun: Instant) -> Result<u128, Duration> {
    let turn = pacer.acquire(limits, begun + 60 * SECOND).await;
    turn.map(|()| begun.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_burst_leaves_one_after_another_in_the_order_in_which_it_came() {
    let (pacer, begun) = (pacer(10), Instant::now());
    let all = join_all((0..25).map(|_| left(&pacer, limits(64, 5_000), begun))).await;
    let times: Vec<u128> = all.into_iter().map(Result::unwrap).collect();
    assert!(times.is_sorted());
    for (number, time) in times.iter().enumerate() {
        let due = number as u128 * 100;
        assert!((due..=due + 2).contains(time), "{number}: {time} ms");
    }
    // Rest is not saved up for a burst.
    advance(10 * SECOND).await;
    let begun = Instant::now();
    let all = join_all((0..3).map(|_| left(&pacer, limits(64, 5_000), begun))).await;
    let times: Vec<u128> = all.into_iter().map(Result::unwrap).collect();
    assert!(times[0] <= 1 && times[1] >= 100 && times[2] >= 200, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_a_turn_in_time_is_refused_at_once_and_told_when() {
    let (pacer, begun) = (pacer(10), Instant::now());
    let wait = limits(64, 500);
    let all = join_all((0..20).map(|_| async {
        let reply = left(&pacer, wait, begun).await;
        (reply, begun.elapsed())
    }))
    .await;
    let (served, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|(reply, _)| reply.is_ok());
    assert_eq!(served.len(), 6, "one at once and those of half a second");
    for (reply, after) in refused {
        assert_eq!(after, Duration::ZERO);
        assert_eq!(reply, Err(Duration::from_millis(600)));
    }
    // It is worth obeying.
    let again = pacer
        .acquire(limits(0, 0), Instant::now() + SECOND)
        .await
        .unwrap_err();
    sleep(again).await;
    pacer
        .acquire(limits(0, 0), Instant::now() + SECOND)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_an_end_and_a_deadline_comes_before_its_limits() {
    let (pacer, begun) = (pacer(1), Instant::now());
    let wait = limits(2, 60_000);
    let all = join_all((0..5).map(|_| left(&pacer, wait, begun))).await;
    let served: Vec<_> = all.iter().filter(|reply| reply.is_ok()).collect();
    assert_eq!(served.len(), 3, "{all:?}");

    let soon = Instant::now() + SECOND / 2;
    let late = timeout(MILLI, pacer.acquire(wait, soon)).await;
    assert_eq!(late, Ok(Err(SECOND)), "said at once");
    assert_eq!(pacer.queue().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_costs_those_behind_nothing() {
    let (pacer, begun) = (pacer(1), Instant::now());
    let wait = limits(8, 60_000);
    left(&pacer, wait, begun).await.unwrap();
    let impatient = timeout(100 * MILLI, left(&pacer, wait, begun));
    let patient = left(&pacer, wait, begun);
    let (impatient, patient) = futures_util::join!(impatient, patient);
    assert!(impatient.is_err());
    let left_at = patient.unwrap();
    assert!((1_000..=1_002).contains(&left_at), "{left_at} ms");
    assert_eq!(pacer.queue().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_calls_than_the_trunk_may_be_given() {
    let mut random = fastrand::Rng::with_seed(7);
    for calls_per_s in [1, 3, 10, 40] {
        let pacer = pacer(calls_per_s);
        let mut times = Vec::new();
        for _ in 0..400 {
            // Now alone, now many at once, now after a rest.
            let at_once = if random.u8(..4) == 0 { 12 } else { 1 };
            sleep(Duration::from_millis(random.u64(..200))).await;
            let all = join_all((0..at_once).map(|_| async {
                pacer
                    .acquire(limits(64, 1_000), Instant::now() + SECOND)
                    .await
                    .ok()?;
                Some(Instant::now())
            }));
            times.extend(all.await.into_iter().flatten());
        }
        assert!(times.len() > 50, "{}", times.len());
        let most = calls_per_s as usize;
        for window in times.windows(most + 1) {
            // The clock of timers goes by whole milliseconds.
            assert!(
                window[most] - window[0] >= SECOND - 2 * MILLI,
                "{calls_per_s} a second"
            );
        }
    }
}
