//! Panics of every kind, restarts, the budget, and the end.

use super::*;
use crate::actor::{AskError, InjectedFault, State};
use crate::telemetry::testing::Lines;

fn is_restarting(reply: &Reply<Do>) -> bool {
    matches!(reply, Err(AskError::Restarting { .. }))
}

#[actix_rt::test]
async fn a_panic_in_the_work_costs_that_reply_and_nothing_else() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    let other = tokio::task::spawn_local({
        let handle = handle.clone();
        async move { ask(&handle, 1, Act::Sleep(20 * MILLI)).await }
    });
    assert_eq!(
        ask(&handle, 2, Act::PanicInWork).await,
        Err(AskError::Interrupted)
    );
    assert!(other.await.unwrap().is_ok());
    let report = handle.health().report();
    assert_eq!(
        (report.state, report.panics, report.restarts),
        (State::Running, 1, 0)
    );
    assert_eq!(report.last_error.as_deref(), Some("panic in do: in the work"));
    assert_eq!(handle.in_flight(Class::Read), 0);
    assert_eq!(world.built.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn a_panic_in_a_handler_ends_that_actor_and_another_takes_its_place() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    let reply = ask(&handle, 1, Act::PanicInHandler).await;
    assert!(is_restarting(&reply), "{reply:?}");
    assert_eq!(handle.in_flight(Class::Read), 0, "the permit came back");
    answers(&handle, 2).await;
    let report = handle.health().report();
    assert_eq!(
        (report.state, report.panics, report.restarts),
        (State::Running, 1, 1)
    );
    assert!(!world.effects().contains(&1), "nothing was begun");
}

#[actix_rt::test]
async fn work_in_flight_outlives_the_actor_that_began_it() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    let slow = tokio::task::spawn_local({
        let handle = handle.clone();
        async move { ask(&handle, 1, Act::Hold).await }
    });
    until("begun", async || world.effects().contains(&1)).await;
    handle.inject(InjectedFault::Panic);
    until("restarted", async || handle.health().report().restarts == 1).await;
    world.released.cancel();
    assert!(slow.await.unwrap().is_ok());
}

#[actix_rt::test]
async fn after_a_first_failure_it_answers_again_within_a_second() {
    tokio::time::pause();
    let spawn = Spawn {
        restart: RestartPolicy::default(),
        ..how(Placement::Current, limits(8, 0, SECOND))
    };
    let (handle, _) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let begun = Instant::now();
    handle.inject(InjectedFault::Panic);
    until("restarted", async || handle.health().report().restarts == 1).await;
    answers(&handle, 1).await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[actix_rt::test]
async fn a_panic_in_drop_after_a_panic_does_not_abort() {
    let (handle, _) = start(Placement::Current);
    answers(&handle, 0).await;
    let reply = ask(&handle, 1, Act::PanicWhenDropped).await;
    assert!(is_restarting(&reply), "{reply:?}");
    answers(&handle, 2).await;
    assert_eq!(handle.health().report().restarts, 1);
}

#[actix_rt::test]
async fn panics_in_the_factory_and_in_started_are_restarts_too() {
    let spawn = how(Placement::Current, limits(8, 0, SECOND));
    let (handle, world) = start_with(spawn, |instance| (instance == 0, instance == 1));
    answers(&handle, 0).await;
    let report = handle.health().report();
    assert_eq!(
        (report.state, report.panics, report.restarts),
        (State::Running, 2, 2)
    );
    assert_eq!(report.last_error.as_deref(), Some("panic in actor: in started"));
    assert_eq!(world.built.load(Ordering::SeqCst), 3);
}

#[actix_rt::test]
async fn a_panic_in_a_detached_future_is_counted_and_the_actor_goes_on() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    assert!(ask(&handle, 1, Act::PanicDetached).await.is_ok());
    until("counted", async || handle.health().report().panics == 1).await;
    let report = handle.health().report();
    assert_eq!((report.state, report.restarts), (State::Running, 0));
    assert_eq!(
        report.last_error.as_deref(),
        Some("panic in background: in the background")
    );
    assert_eq!(world.built.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn an_actor_that_stops_by_itself_is_rebuilt() {
    let (handle, world) = start(Placement::Current);
    answers(&handle, 0).await;
    let _ = ask(&handle, 1, Act::StopItself).await;
    answers(&handle, 2).await;
    assert_eq!(world.built.load(Ordering::SeqCst), 2);
    let report = handle.health().report();
    assert_eq!(report.last_error.as_deref(), Some("stopped by itself"));
}

#[actix_rt::test]
async fn a_crash_loop_uses_up_its_budget_loudly_and_the_others_go_on() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let (healthy, _) = start(Placement::Current);
    let mut spawn = how(Placement::Current, limits(8, 0, SECOND));
    spawn.restart.budget = 3;
    let (handle, world) = start_with(spawn, |_| (false, true));
    timeout(LIMIT, handle.health().reached(State::Failed))
        .await
        .unwrap();
    let report = handle.health().report();
    assert_eq!(
        (report.panics, report.restarts),
        (4, 3),
        "the budget and one more"
    );
    let reply = ask(&handle, 0, Act::Answer).await;
    assert_eq!(reply, Err(AskError::Failed));
    answers(&healthy, 0).await;
    sleep(20 * MILLI).await;
    assert_eq!(world.built.load(Ordering::SeqCst), 4, "and not one instance more");
    let log = lines.text();
    let loud = |line: &&str| line.contains("ERROR") && line.contains("restart budget used up");
    assert_eq!(log.lines().filter(loud).count(), 1, "{log}");
    handle.stop(Instant::now() + SECOND).await;
    assert_eq!(handle.health().report().state, State::Stopped);
}

#[actix_rt::test]
async fn failures_outside_the_window_do_not_count_against_the_budget() {
    tokio::time::pause();
    let mut spawn = how(Placement::Current, limits(8, 0, SECOND));
    spawn.restart.budget = 1;
    spawn.restart.window = SECOND;
    let (handle, _) = start_with(spawn, |_| (false, false));
    for instance in 0..5 {
        answers(&handle, instance).await;
        handle.inject(InjectedFault::Panic);
        until("rebuilt", async || {
            handle.health().report().restarts == u64::try_from(instance).unwrap() + 1
        })
        .await;
        sleep(2 * SECOND).await;
    }
    assert_eq!(handle.health().report().state, State::Running);
}

#[actix_rt::test]
async fn stop_lets_work_end_and_nothing_more_in() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let slow = tokio::task::spawn_local({
        let handle = handle.clone();
        async move { ask(&handle, 1, Act::Hold).await }
    });
    until("begun", async || world.effects().contains(&1)).await;
    let stop = handle.stop(Instant::now() + LIMIT);
    let late = async {
        let late = ask(&handle, 2, Act::Answer).await;
        world.released.cancel();
        late
    };
    let ((), late) = tokio::join!(stop, late);
    assert!(never_begun(late.as_ref().unwrap_err()), "{late:?}");
    assert!(slow.await.unwrap().is_ok());
    assert_eq!(handle.health().report().state, State::Stopped);
    assert_eq!(ask(&handle, 3, Act::Answer).await, Err(AskError::Failed));
    assert_eq!(*world.effects(), HashSet::from([0, 1]));
}

#[actix_rt::test]
async fn nothing_is_let_in_between_the_last_work_and_the_end() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    // Past the bulkhead, so nothing is in flight, and yet the actor cannot end.
    let deadline = Instant::now() + LIMIT;
    let busy = handle.control(Do(1, Act::Block), deadline);
    let stop = async {
        until("it blocks", async || world.blocked.load(Ordering::SeqCst) == 1).await;
        let late = async {
            let late = ask(&handle, 2, Act::Answer).await;
            world.released.cancel();
            late
        };
        tokio::join!(handle.stop(deadline), late).1
    };
    let (_, late) = tokio::join!(busy, stop);
    assert!(matches!(late, Err(AskError::Saturated { .. })), "{late:?}");
    assert_eq!(handle.health().report().state, State::Stopped);
}

#[actix_rt::test]
async fn stop_does_not_wait_for_ever_for_work_that_does_not_end() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let endless = tokio::task::spawn_local({
        let handle = handle.clone();
        async move { ask(&handle, 1, Act::Sleep(3_600 * SECOND)).await }
    });
    until("begun", async || world.effects().contains(&1)).await;
    handle.stop(Instant::now() + 20 * MILLI).await;
    assert_eq!(handle.health().report().state, State::Stopped);
    let reply = timeout(LIMIT, endless).await.unwrap().unwrap();
    assert_eq!(
        reply,
        Err(AskError::Interrupted),
        "the thread's end ended the work"
    );
}
