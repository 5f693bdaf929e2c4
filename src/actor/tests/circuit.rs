//! The circuit breaker, as who asks meets it.

use super::*;
use crate::actor::{AskError, BreakerState, State};

fn is_open(reply: &Reply<Do>) -> bool {
    matches!(reply, Err(AskError::CircuitOpen { .. }))
}

fn breaker(handle: &ActorHandle<Probe>) -> BreakerState {
    handle.load()[0].breaker
}

async fn open(handle: &ActorHandle<Probe>) {
    for number in 0..5 {
        let reply = ask(handle, number, Act::Refuse(FailureClass::Failed)).await;
        assert_eq!(reply, Err(AskError::Reply(Refused(FailureClass::Failed))));
    }
    assert_eq!(breaker(handle), BreakerState::Open);
}

#[actix_rt::test]
async fn what_fails_again_and_again_is_left_alone_until_a_probe_succeeds() {
    tokio::time::pause();
    let (handle, world) = start(Placement::Current);
    answers(&handle, 100).await;
    open(&handle).await;
    let asked = Instant::now();
    let refused = ask(&handle, 10, Act::Answer).await;
    let Err(AskError::CircuitOpen { retry_after }) = refused else {
        panic!("{refused:?}");
    };
    assert!(never_begun(&refused.unwrap_err()) && asked.elapsed() < MILLI);
    assert!(!world.effects().contains(&10));
    sleep(retry_after + MILLI).await;
    assert!(ask(&handle, 11, Act::Answer).await.is_ok(), "the probe");
    assert_eq!(breaker(&handle), BreakerState::Closed);
}

#[actix_rt::test]
async fn refusals_of_the_integration_and_faults_of_ours_are_no_failures() {
    tokio::time::pause();
    let (handle, _) = start(Placement::Current);
    answers(&handle, 1_000).await;
    for number in 0..30 {
        let act = [
            Act::Refuse(FailureClass::Answered),
            Act::Refuse(FailureClass::NotAsked),
            Act::PanicInWork,
        ][number % 3];
        assert!(ask(&handle, number, act).await.is_err());
    }
    assert_eq!(breaker(&handle), BreakerState::Closed);
}

#[actix_rt::test]
async fn a_request_that_is_not_answered_counts_though_its_caller_has_gone() {
    tokio::time::pause();
    let (handle, _) = start(Placement::Current);
    answers(&handle, 100).await;
    for number in 0..5 {
        let deadline = Instant::now() + 2 * SECOND;
        let asked = handle.ask(Do(number, Act::Sleep(60 * SECOND)), deadline);
        assert!(timeout(SECOND, asked).await.is_err(), "it leaves early");
    }
    assert_eq!(breaker(&handle), BreakerState::Closed);
    // The fifth deadline is a second away; then it is open for at least half a second.
    sleep(SECOND + SECOND / 4).await;
    assert_eq!(breaker(&handle), BreakerState::Open);
}

#[actix_rt::test]
async fn who_waits_for_a_permit_does_not_reach_what_has_failed_meanwhile() {
    tokio::time::pause();
    let spawn = how(Placement::Current, limits(5, 50, 60 * SECOND));
    let (handle, world) = start_with(spawn, |_| (false, false));
    answers(&handle, 100).await;
    let deadline = Instant::now() + 3 * SECOND;
    let hanging = (0..5).map(|number| handle.ask(Do(number, Act::Sleep(60 * SECOND)), deadline));
    let waiting = (5..50).map(|number| ask(&handle, number, Act::Answer));
    let (hung, waited) = tokio::join!(
        futures_util::future::join_all(hanging),
        futures_util::future::join_all(waiting)
    );
    assert!(
        hung.iter()
            .all(|reply| *reply == Err(AskError::DeadlineExceeded { begun: true }))
    );
    // The permits come back one by one, and the fifth opens it: four of those who wait are through before.
    let refused = waited.iter().filter(|reply| is_open(reply)).count();
    assert!(refused >= 41, "{refused}");
    assert_eq!(world.effects().len(), 6 + 45 - refused);
}

#[actix_rt::test]
async fn a_restart_by_an_operator_closes_it() {
    let (handle, _) = start(Placement::Dedicated);
    answers(&handle, 100).await;
    open(&handle).await;
    crate::actor::Operate::restart(&handle).await.unwrap();
    timeout(LIMIT, handle.health().reached(State::Running))
        .await
        .expect("it runs");
    assert_eq!(breaker(&handle), BreakerState::Closed);
    assert!(ask(&handle, 101, Act::Answer).await.is_ok());
}
