//! Permits, deadlines, threads, callers that leave, and an address that is replaced under load.

use std::cell::Cell;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing::Instrument as _;

use super::*;
use crate::actor::{AskError, InjectedFault};

fn outcomes(replies: &[Reply<Do>]) -> (usize, usize) {
    let saturated = |reply: &&Reply<Do>| matches!(reply, Err(AskError::Saturated { .. }));
    (
        replies.iter().filter(|reply| reply.is_ok()).count(),
        replies.iter().filter(saturated).count(),
    )
}

#[actix_rt::test]
async fn of_200_asks_on_8_permits_8_run_and_192_are_refused() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 1_000).await;
    let refused = Cell::new(0);
    let asks = join_all((0..200).map(async |n| {
        let reply = ask(&handle, n, Act::Hold).await;
        refused.set(refused.get() + usize::from(reply.is_err()));
        reply
    }));
    let release = async {
        until("the others were refused", async || refused.get() == 192).await;
        until("eight work", async || world.working.load(Ordering::SeqCst) == 8).await;
        world.released.cancel();
    };
    let (replies, ()) = tokio::join!(asks, release);
    assert_eq!(outcomes(&replies), (8, 192));
    assert_eq!(world.peak.load(Ordering::SeqCst), 8);
    assert_eq!(world.effects().len(), 9);
    assert_eq!(handle.in_flight(Class::Read), 0);
}

#[actix_rt::test]
async fn those_who_wait_get_their_turn_and_the_bound_holds() {
    let spawn = how(Placement::Dedicated, limits(8, 64, LIMIT));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 1_000).await;
    let release = async {
        until("all the others wait", async || handle.load()[0].waiting == 64).await;
        until("eight work", async || world.working.load(Ordering::SeqCst) == 8).await;
        world.released.cancel();
    };
    let asks = join_all((0..72).map(|n| ask(&handle, n, Act::Hold)));
    let (replies, ()) = tokio::join!(asks, release);
    assert_eq!(outcomes(&replies), (72, 0));
    assert_eq!(world.peak.load(Ordering::SeqCst), 8);
    assert_eq!((handle.in_flight(Class::Read), handle.load()[0].waiting), (0, 0));
}

#[actix_rt::test]
async fn the_wait_for_a_permit_ends_at_its_limit_or_at_the_deadline() {
    tokio::time::pause();
    let spawn = how(Placement::Current, limits(1, 2, 3 * SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let mut busy = Box::pin(ask(&handle, 1, Act::Sleep(9 * SECOND)));
    assert!(busy.as_mut().now_or_never().is_none());
    let asked = Instant::now();
    let timed = async |number, time| {
        let reply = handle.ask(Do(number, Act::Answer), asked + time).await;
        assert!(matches!(reply, Err(AskError::Saturated { .. })), "{reply:?}");
        asked.elapsed()
    };
    let (by_limit, by_deadline, at_once) =
        tokio::join!(timed(2, 60 * SECOND), timed(3, SECOND), timed(4, 60 * SECOND));
    assert!(
        (3 * SECOND..4 * SECOND).contains(&by_limit),
        "waited {by_limit:?}"
    );
    assert!(
        (SECOND..2 * SECOND).contains(&by_deadline),
        "waited {by_deadline:?}"
    );
    assert_eq!(at_once, Duration::ZERO, "the queue has two places");
    assert!(busy.await.is_ok());
    assert_eq!(*world.effects(), HashSet::from([0, 1]));
}

#[actix_rt::test]
async fn a_deadline_of_600_s_ends_the_work_and_frees_its_permit() {
    tokio::time::pause();
    let (handle, world) = start_with(how(Placement::Current, limits(1, 0, SECOND)), |_| (false, false));
    answers(&handle, 0).await;
    let asked = Instant::now();
    let reply = handle
        .ask(Do(1, Act::Sleep(3_600 * SECOND)), asked + 600 * SECOND)
        .await;
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: true }));
    assert!((600 * SECOND..601 * SECOND).contains(&asked.elapsed()));
    until("the permit is back", async || handle.in_flight(Class::Read) == 0).await;
    assert_eq!(world.working.load(Ordering::SeqCst), 0, "the work was dropped");
    answers(&handle, 2).await;
}

#[actix_rt::test]
async fn work_is_not_begun_after_its_deadline() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let blocked = ask(&handle, 1, Act::Block);
    let late = async {
        let late = handle.ask(Do(2, Act::Answer), Instant::now() + 10 * MILLI).await;
        world.released.cancel();
        late
    };
    let (blocked, late) = tokio::join!(blocked, late);
    assert!(blocked.is_ok());
    assert_eq!(late, Err(AskError::DeadlineExceeded { begun: false }));
    answers(&handle, 3).await;
    assert!(!world.effects().contains(&2));
}

#[actix_rt::test]
async fn a_caller_that_leaves_before_the_work_begins_leaves_nothing_behind() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    for turns in 1..20 {
        let mut asked = Box::pin(ask(&handle, turns, Act::Answer));
        assert!(asked.as_mut().now_or_never().is_none(), "it is in the mailbox");
        for _ in 1..turns {
            tokio::task::yield_now().await;
        }
        let begun = world.effects().contains(&turns);
        drop(asked);
        answers(&handle, 100 + turns).await;
        assert_eq!(world.effects().contains(&turns), begun, "after {turns} turns");
    }
    assert!(!world.effects().contains(&1));
    assert!(world.effects().contains(&19), "the late ones had begun");
    until("the permits are back", async || {
        handle.in_flight(Class::Read) == 0
    })
    .await;
}

#[actix_rt::test]
async fn a_message_goes_to_its_actor_or_back_to_its_caller_and_never_to_both() {
    let message = || {
        let deadline = Instant::now() + LIMIT;
        Ask::new(
            Do(0, Act::Answer),
            deadline,
            None,
            Health::new("probe"),
            CancellationToken::new(),
        )
    };
    let here = async |_, _| Ok(std::thread::current().id());

    // Out of the mailbox, its work not yet polled, when its caller goes.
    let (ask, caller) = message();
    let work = ask.run(here);
    drop(caller);
    assert_eq!(work.await, Err(AskError::DeadlineExceeded { begun: false }));

    let (ask, caller) = message();
    let work = ask.run(here);
    assert!(!caller.abandon(), "not begun");
    assert_eq!(work.await, Err(AskError::DeadlineExceeded { begun: false }));

    // Its caller's timer is late.
    let (ask, _caller) = Ask::new(
        Do(0, Act::Answer),
        Instant::now(),
        None,
        Health::new("probe"),
        CancellationToken::new(),
    );
    let reply = ask.run(here).await;
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: false }));

    let (ask, caller) = message();
    assert!(ask.run(here).await.is_ok());
    assert!(caller.abandon(), "begun");
}

#[actix_rt::test]
async fn a_dedicated_actor_has_its_thread_and_blocks_no_other() {
    let (blocked, world) = start(Placement::Dedicated);
    let (free, _) = start(Placement::Dedicated);
    answers(&blocked, 0).await;
    answers(&free, 0).await;
    let long = tokio::task::spawn_local({
        let blocked = blocked.clone();
        async move { ask(&blocked, 1, Act::Block).await }
    });
    until("in the handler", async || {
        world.blocked.load(Ordering::SeqCst) == 1
    })
    .await;
    let elsewhere = ask(&free, 1, Act::Answer).await.unwrap();
    assert!(!world.effects().contains(&1), "the other one still blocks");
    world.released.cancel();
    let own = long.await.unwrap().unwrap();
    let here = std::thread::current().id();
    assert!(own != here && elsewhere != here && own != elsewhere);
}

#[actix_rt::test]
async fn control_passes_a_full_bulkhead() {
    let spawn = how(Placement::Current, limits(1, 0, SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let mut busy = Box::pin(ask(&handle, 1, Act::Hold));
    assert!(busy.as_mut().now_or_never().is_none());
    let refused = ask(&handle, 2, Act::Answer).await;
    assert_eq!(outcomes(&[refused]), (0, 1));
    let control = handle.control(Do(3, Act::Answer), Instant::now() + LIMIT).await;
    assert!(control.is_ok());
    world.released.cancel();
    assert!(busy.await.is_ok());
    assert_eq!(*world.effects(), HashSet::from([0, 1, 3]));
}

/// Half of it works, some panics in its work, some in the handler, some has no time; with an injected fault for every 80 asks,
/// however fast the machine is. What each caller was told is held against what really happened.
async fn every_ask_is_answered_truly(placement: Placement) {
    const ASKS: usize = 4_000;
    const LANES: usize = 40;
    const ENOUGH: usize = 20;
    let spawn = how(placement, limits(16, 64, SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    let told = [0; 3].map(Cell::new);
    // On a slow machine the actor is away for longer, and it takes more of them until there was enough of each kind.
    let enough = || told.iter().all(|count| count.get() > ENOUGH);
    let lane = async |lane: usize| {
        for number in (lane..10 * ASKS).step_by(LANES) {
            if number >= ASKS && enough() {
                break;
            }
            if number % 80 == 0 {
                handle.inject(InjectedFault::Panic);
            }
            let (act, time) = match number % 10 {
                0 => (Act::PanicInWork, SECOND),
                1 if number % 50 == 1 => (Act::PanicInHandler, SECOND),
                2 => (Act::Sleep(4 * MILLI), 2 * MILLI),
                3 => (Act::Answer, Duration::ZERO),
                _ => (Act::Sleep(MILLI), SECOND),
            };
            let asked = handle.ask(Do(number, act), Instant::now() + time);
            let reply = timeout(LIMIT, asked).await.expect("an ask never hangs");
            let happened = world.effects().contains(&number);
            match &reply {
                Ok(_) => assert!(happened, "{number}: a success without its effect"),
                Err(error) => assert_eq!(never_begun(error), !happened, "{number}: {error:?}"),
            }
            let kind = match reply {
                Ok(_) => 0,
                Err(error) if never_begun(&error) => 1,
                Err(_) => 2,
            };
            told[kind].set(told[kind].get() + 1);
            // As a caller would: no hurry to come back after a refusal.
            sleep(if kind == 1 { 2 * MILLI } else { Duration::ZERO }).await;
        }
    };
    join_all((0..LANES).map(lane)).await;
    assert!(enough(), "too few of a kind to show anything: {told:?}");
    assert!(handle.health().report().restarts > 5);
    answers(&handle, usize::MAX).await;
    until("the permits are back", async || {
        handle.in_flight(Class::Read) == 0
    })
    .await;
    // What was given up in a mailbox is not done later either.
    assert_eq!(world.effects().len(), told[0].get() + told[2].get() + 1);
}

#[actix_rt::test]
async fn every_ask_is_answered_truly_while_the_actor_dies_again_and_again() {
    every_ask_is_answered_truly(Placement::Current).await;
}

#[actix_rt::test]
async fn every_ask_is_answered_truly_by_an_actor_on_its_own_thread_that_dies_again_and_again() {
    every_ask_is_answered_truly(Placement::Dedicated).await;
}

#[actix_rt::test]
async fn what_the_work_logs_belongs_to_the_request_that_it_is_done_for() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let (handle, world) = start(Placement::Current);
    answers(&handle, 1).await;
    assert_eq!(*world.span.lock().unwrap(), None);
    let request = tracing::info_span!("request");
    ask(&handle, 2, Act::Answer).instrument(request).await.unwrap();
    assert_eq!(*world.span.lock().unwrap(), Some("request"));
}

#[actix_rt::test]
async fn a_queue_that_was_full_is_short_until_it_has_been_empty() {
    tokio::time::pause();
    let spawn = how(Placement::Current, limits(2, 6, 60 * SECOND));
    let (handle, _) = start_with(spawn, |_| (false, false));
    answers(&handle, 1_000).await;
    let burst = async |from: usize| {
        let asked = (from..from + 9).map(|n| ask(&handle, n, Act::Sleep(SECOND)));
        outcomes(&join_all(asked).await)
    };
    // More come before the first queue is through: of those, only as many wait as may be in flight.
    let later = async {
        sleep(2 * SECOND + SECOND / 2).await;
        assert_eq!(handle.load()[0].waiting, 2);
        let refused = ask(&handle, 100, Act::Answer).await;
        assert_eq!(outcomes(&[refused]), (0, 1));
    };
    let (first, ()) = tokio::join!(burst(0), later);
    assert_eq!(first, (8, 1), "two in flight, six wait");
    assert_eq!(burst(200).await, (8, 1), "it has been empty");
}

#[actix_rt::test]
async fn what_is_refused_after_it_was_let_in_is_counted_too() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    // The second is in the mailbox when the first ends the actor.
    let (first, second) = tokio::join!(ask(&handle, 1, Act::PanicInHandler), ask(&handle, 2, Act::Answer));
    for reply in [first, second] {
        assert!(matches!(reply, Err(AskError::Restarting { .. })), "{reply:?}");
    }
    assert_eq!(*world.effects(), HashSet::from([0]));
    let metrics = recorder.handle().render();
    let counted = r#"mege_shed_total{actor="probe",class="read",reason="restarting"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}
