//! What operators do to an actor, and what it depends on: restarts, blocked threads, pauses.

use super::*;
use crate::actor::{AskError, InjectedFault, NotRestarted, Operate as _, RestartReason, State};

/// Gives the watch over threads the time that it may take to see one that blocks. Its clock, not that of the threads, is
/// paused meanwhile: if others are watched too, they seem to hang.
async fn unresponsive(handle: &ActorHandle<Probe>) {
    tokio::time::pause();
    timeout(10 * SECOND, handle.health().reached(State::Unresponsive))
        .await
        .expect("seen within 10 s");
    tokio::time::resume();
}

/// After a restart, which does not wait for an actor that this machine takes long to build.
async fn running(handle: &ActorHandle<Probe>) {
    timeout(LIMIT, handle.health().reached(State::Running))
        .await
        .expect("it runs");
}

fn spawn_ask(handle: &ActorHandle<Probe>, number: usize, act: Act) -> tokio::task::JoinHandle<Reply<Do>> {
    let handle = handle.clone();
    tokio::task::spawn_local(async move { ask(&handle, number, act).await })
}

#[actix_rt::test]
async fn a_restart_lets_work_end_refuses_what_comes_and_takes_another_thread() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let before = ask(&handle, 1, Act::Answer).await.unwrap();
    let slow = spawn_ask(&handle, 2, Act::Hold);
    until("begun", async || world.effects().contains(&2)).await;
    let late = async {
        handle.health().reached(State::Restarting).await;
        let late = ask(&handle, 3, Act::Answer).await;
        world.released.cancel();
        late
    };
    let (restarted, late) = tokio::join!(handle.restart(), late);
    let restarted = restarted.unwrap();
    assert_eq!((restarted.unfinished, restarted.thread_left_behind), (0, false));
    running(&handle).await;
    assert!(slow.await.unwrap().is_ok(), "it had its time");
    assert!(matches!(late, Err(AskError::Restarting { .. })), "{late:?}");
    assert!(!world.effects().contains(&3));
    let after = ask(&handle, 4, Act::Answer).await.unwrap();
    assert_ne!(before, after, "a thread of its own");
    let report = handle.health().report();
    assert_eq!(
        (report.restarts, report.panics, report.blocked_threads),
        (1, 0, 0)
    );
    assert_eq!(report.latest_restarts[0].reason, RestartReason::Operator);
    assert_eq!(world.built.load(Ordering::SeqCst), 2);
}

/// How long the restart took.
async fn what_does_not_end_is_interrupted(placement: Placement) -> Duration {
    let (handle, world) = start(placement);
    answers(&handle, 0).await;
    let endless = spawn_ask(&handle, 1, Act::Sleep(3_600 * SECOND));
    until("begun", async || world.effects().contains(&1)).await;
    let asked = Instant::now();
    let restarted = handle.restart().await.unwrap();
    let took = asked.elapsed();
    assert_eq!(restarted.unfinished, 1);
    assert_eq!(endless.await.unwrap(), Err(AskError::Interrupted));
    until("dropped", async || world.working.load(Ordering::SeqCst) == 0).await;
    answers(&handle, 2).await;
    assert_eq!(handle.in_flight(Class::Read), 0);
    took
}

#[actix_rt::test]
async fn work_that_does_not_end_in_time_is_interrupted_by_a_restart() {
    let took = what_does_not_end_is_interrupted(Placement::Dedicated).await;
    assert!(took >= 5 * SECOND, "it had its time: {took:?}");
}

#[actix_rt::test]
async fn the_same_where_all_share_a_thread() {
    tokio::time::pause();
    let took = what_does_not_end_is_interrupted(Placement::Current).await;
    assert!((5 * SECOND..9 * SECOND).contains(&took), "{took:?}");
}

#[actix_rt::test]
async fn work_that_outlived_its_actor_has_its_time_too() {
    let mut spawn = how(Placement::Dedicated, limits(8, 0, SECOND));
    spawn.restart.backoff = Backoff::new(3_600 * SECOND, 3_600 * SECOND);
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let slow = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    handle.inject(InjectedFault::Panic);
    handle.health().reached(State::BackingOff).await;
    let release = async {
        handle.health().reached(State::Restarting).await;
        world.released.cancel();
    };
    let (restarted, ()) = tokio::join!(handle.restart(), release);
    let restarted = restarted.unwrap();
    assert_eq!(restarted.unfinished, 0);
    running(&handle).await;
    assert!(slow.await.unwrap().is_ok());
}

#[actix_rt::test]
async fn an_actor_that_panics_while_its_work_ends_does_not_stand_for_the_one_that_comes() {
    let may_be_built = CancellationToken::new();
    let gate = may_be_built.clone();
    let make = move |life| {
        if life == 2 {
            block_until(&gate);
        }
        (false, false)
    };
    let (handle, world) = start_with(how(Placement::Dedicated, limits(8, 0, SECOND)), make);
    answers(&handle, 0).await;
    let slow = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    let panics = async {
        handle.health().reached(State::Restarting).await;
        handle.inject(InjectedFault::Panic);
        handle.health().reached(State::Running).await;
        assert_eq!(world.built.load(Ordering::SeqCst), 2, "by its own supervisor");
        world.released.cancel();
    };
    let (restarted, ()) = tokio::join!(handle.restart(), panics);
    assert!(slow.await.unwrap().is_ok());
    assert_eq!(restarted.unwrap().state, State::Restarting, "it is not built yet");
    may_be_built.cancel();
    answers(&handle, 2).await;
    assert_eq!(world.built.load(Ordering::SeqCst), 3);
}

#[actix_rt::test]
async fn who_waits_for_a_permit_is_told_of_the_restart_at_once() {
    let spawn = how(Placement::Dedicated, limits(1, 8, 60 * SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let busy = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    let waiting = spawn_ask(&handle, 2, Act::Answer);
    until("it waits", async || handle.load()[0].waiting == 1).await;
    let told = async {
        let waited = waiting.await;
        world.released.cancel();
        waited
    };
    let (restarted, waited) = tokio::join!(handle.restart(), told);
    assert!(restarted.is_ok() && busy.await.unwrap().is_ok());
    assert!(matches!(waited.unwrap(), Err(AskError::Restarting { .. })));
    assert!(!world.effects().contains(&2));
}

#[actix_rt::test]
async fn a_blocked_thread_is_seen_and_left_behind_and_the_others_notice_nothing() {
    let (handle, world) = start(Placement::Dedicated);
    let (other, _) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    answers(&other, 0).await;
    let blocked = spawn_ask(&handle, 1, Act::Block);
    // By the real clock: the other one's thread lives, and is seen to.
    timeout(LIMIT, handle.health().reached(State::Unresponsive))
        .await
        .expect("it is seen");
    assert_eq!(ask(&handle, 2, Act::Answer).await, Err(AskError::Failed));
    assert!(ask(&other, 1, Act::Answer).await.is_ok());

    let restarted = handle.restart().await.unwrap();
    assert!(restarted.thread_left_behind);
    running(&handle).await;
    assert!(ask(&handle, 3, Act::Answer).await.is_ok());
    let report = handle.health().report();
    assert_eq!((report.state, report.blocked_threads), (State::Running, 1));
    assert_eq!(handle.in_flight(Class::Read), 0, "permits of its own");

    let told = blocked.await.unwrap();
    assert!(told.is_err(), "nobody knows what it did: {told:?}");
    world.released.cancel();
    until("it ended after all", async || {
        handle.health().report().blocked_threads == 0
    })
    .await;
    answers(&handle, 4).await;
    assert_eq!(
        handle.health().report().state,
        State::Running,
        "the old one has no say"
    );
    assert_eq!(world.built.load(Ordering::SeqCst), 2);
}

#[actix_rt::test]
async fn whoever_waits_for_a_thread_that_was_left_behind_is_told_and_it_does_nothing_more() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let begun = spawn_ask(&handle, 1, Act::HoldFirst);
    until("begun", async || world.effects().contains(&1)).await;
    let blocks = spawn_ask(&handle, 2, Act::Block);
    let in_the_mailbox = spawn_ask(&handle, 3, Act::Answer);
    until("it blocks", async || world.blocked.load(Ordering::SeqCst) == 1).await;
    unresponsive(&handle).await;
    handle.restart().await.unwrap();
    // Long before the deadline of what they asked.
    let told = timeout(LIMIT / 2, async { tokio::join!(begun, blocks, in_the_mailbox) }).await;
    let (begun, blocks, waited) = told.expect("they are told");
    assert_eq!(begun.unwrap(), Err(AskError::Interrupted));
    assert!(blocks.unwrap().is_err_and(|error| never_begun(&error)));
    assert!(waited.unwrap().is_err_and(|error| never_begun(&error)));
    world.released.cancel();
    until("the thread comes back", async || {
        handle.health().report().blocked_threads == 0
    })
    .await;
    until("its work is dropped", async || {
        world.working.load(Ordering::SeqCst) == 0
    })
    .await;
    assert_eq!(
        *world.effects(),
        HashSet::from([0, 1]),
        "what was given up had no end"
    );
}

#[actix_rt::test]
async fn an_actor_whose_making_blocks_is_seen_too() {
    let may_be_built = CancellationToken::new();
    let gate = may_be_built.clone();
    let make = move |life| {
        if life == 0 {
            block_until(&gate);
        }
        (false, false)
    };
    let (handle, world) = start_with(how(Placement::Dedicated, limits(8, 0, SECOND)), make);
    until("it is being made", async || {
        world.built.load(Ordering::SeqCst) == 1
    })
    .await;
    unresponsive(&handle).await;
    assert_eq!(ask(&handle, 0, Act::Answer).await, Err(AskError::Failed));
    let restarted = handle.restart().await.unwrap();
    assert!(restarted.thread_left_behind);
    running(&handle).await;
    assert!(ask(&handle, 1, Act::Answer).await.is_ok());
    may_be_built.cancel();
}

#[actix_rt::test]
async fn a_thread_that_comes_back_is_seen_too() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let blocked = spawn_ask(&handle, 1, Act::Block);
    until("it blocks", async || world.blocked.load(Ordering::SeqCst) == 1).await;
    unresponsive(&handle).await;
    world.released.cancel();
    assert!(blocked.await.unwrap().is_ok());
    running(&handle).await;
    answers(&handle, 2).await;
}

#[actix_rt::test]
async fn an_actor_that_failed_for_good_comes_back_when_an_operator_says_so() {
    let mut spawn = how(Placement::Dedicated, limits(8, 0, SECOND));
    spawn.restart.budget = 2;
    let (handle, _) = start_with(spawn, |instance| (instance < 3, false));
    handle.health().reached(State::Failed).await;
    assert_eq!(ask(&handle, 0, Act::Answer).await, Err(AskError::Failed));
    handle.restart().await.unwrap();
    running(&handle).await;
    assert!(ask(&handle, 1, Act::Answer).await.is_ok());
}

#[actix_rt::test]
async fn one_restart_at_a_time_and_none_of_what_stops() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let slow = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    let all = futures_util::future::join_all((0..5).map(|_| handle.restart()));
    let release = async {
        handle.health().reached(State::Restarting).await;
        world.released.cancel();
    };
    let (all, ()) = tokio::join!(all, release);
    let begun = all.iter().filter(|restarted| restarted.is_ok()).count();
    assert_eq!(begun, 1, "{all:?}");
    assert!(all.contains(&Err(NotRestarted)));
    assert!(slow.await.unwrap().is_ok());
    handle.stop(Instant::now() + LIMIT).await;
    assert_eq!(handle.restart().await, Err(NotRestarted));
    assert_eq!(handle.health().report().state, State::Stopped);
}

#[actix_rt::test]
async fn a_paused_actor_refuses_work_and_takes_control_and_stays_so_over_a_restart() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    assert!(handle.pause() && !handle.pause());
    assert_eq!(ask(&handle, 1, Act::Answer).await, Err(AskError::Paused));
    let control = handle.control(Do(2, Act::Answer), Instant::now() + LIMIT).await;
    assert!(control.is_ok());
    handle.restart().await.unwrap();
    assert_eq!(ask(&handle, 3, Act::Answer).await, Err(AskError::Paused));
    assert!(handle.resume() && !handle.resume());
    assert!(ask(&handle, 4, Act::Answer).await.is_ok());
    assert_eq!(*world.effects(), HashSet::from([0, 2, 4]));
}

#[actix_rt::test]
async fn who_waits_for_a_permit_when_the_actor_is_paused_does_not_slip_through() {
    let spawn = how(Placement::Dedicated, limits(1, 8, 60 * SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 0).await;
    let busy = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    let waiting = spawn_ask(&handle, 2, Act::Answer);
    until("it waits", async || handle.load()[0].waiting == 1).await;
    assert!(handle.pause());
    world.released.cancel();
    assert!(busy.await.unwrap().is_ok());
    assert_eq!(waiting.await.unwrap(), Err(AskError::Paused));
    assert!(!world.effects().contains(&2));
    assert!(handle.resume());
    assert!(ask(&handle, 3, Act::Answer).await.is_ok(), "its permit came back");
}

#[actix_rt::test]
async fn what_is_stopped_while_it_is_restarted_is_not_built_again() {
    let (handle, world) = start(Placement::Dedicated);
    answers(&handle, 0).await;
    let slow = spawn_ask(&handle, 1, Act::Hold);
    until("begun", async || world.effects().contains(&1)).await;
    let stop = async {
        handle.health().reached(State::Restarting).await;
        let release = async { world.released.cancel() };
        tokio::join!(handle.stop(Instant::now() + SECOND), release)
    };
    let (restarted, _) = tokio::join!(handle.restart(), stop);
    let _ = slow.await;
    assert_eq!(restarted.unwrap().state, State::Stopped);
    assert_eq!(handle.health().report().state, State::Stopped);
    assert_eq!(world.built.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn what_depends_on_an_actor_restarts_with_it_and_not_the_other_way_round() {
    let (store, _) = start(Placement::Current);
    let mut spawn = how(Placement::Current, limits(8, 0, SECOND));
    spawn.depends_on = vec![store.health().clone()];
    spawn.restart.budget = 0;
    let (collector, world) = start_with(spawn, |_| (false, false));
    answers(&collector, 0).await;
    answers(&store, 0).await;
    assert_eq!(world.built.load(Ordering::SeqCst), 1, "their first start is none");
    for instance in 2..5 {
        store.inject(InjectedFault::Panic);
        until("both are built again", async || {
            world.built.load(Ordering::SeqCst) == instance
                && collector.health().report().state == State::Running
                && store.health().report().state == State::Running
        })
        .await;
    }
    let report = collector.health().report();
    assert_eq!(report.latest_restarts[0].reason, RestartReason::Dependency);
    assert_eq!(report.restarts, 3, "without a budget for failures of its own");
    assert_eq!(store.health().report().restarts, 3);
    answers(&collector, 1).await;
    store.restart().await.unwrap();
    until("again", async || world.built.load(Ordering::SeqCst) == 5).await;
}
