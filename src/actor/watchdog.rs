//! The watchdog of an actor's supervisor, on the thread that spawned the actor: it sees when the actor's own thread hangs, and
//! starts the actor on another one when an operator asks for it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::Arbiter;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::handle::{ActorHandle, Build};
use super::health::{Health, RestartReason, State};
use super::incarnation::{HEARTBEAT_INTERVAL, Incarnation, RestartRequest, Restarted};
use super::policy::{Placement, Spawn};
use super::supervisor::supervise;

/// Heartbeats missed in a row that make a thread unresponsive.
const MAX_MISSED: u32 = 5;

/// How long work in flight may take to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the old thread may take to end, once its work was told to.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How long what an actor detached may take to end in order, such as a socket that is to be closed.
const DETACHED_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the new actor may take to be built, before the operator is told that it is still starting.
const BUILD_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts an actor under supervision. `build` makes it, now and after each failure, from its settings.
///
/// The handle is there at once; until the actor is built it answers
/// [`AskError::Restarting`](super::AskError::Restarting).
pub fn spawn<A, F>(spawn: Spawn, build: F) -> ActorHandle<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Health) -> A + Send + Sync + 'static,
{
    let (restart_requests, received) = mpsc::channel(1);
    let build: Build<A> = Box::new(build);
    let handle = ActorHandle::new(spawn, build, restart_requests);
    let incarnation = start(&handle);
    actix_rt::spawn(watch(handle.clone(), incarnation, received));
    handle
}

/// Starts the supervisor of the handle's present incarnation.
fn start<A: Actor<Context = Context<A>>>(handle: &ActorHandle<A>) -> Arc<Incarnation<A>> {
    let incarnation = handle.incarnation();
    let health = handle.health().next_instance();
    let (supervised, own) = (handle.clone(), Arc::clone(&incarnation));
    let run = async move || {
        tokio::select! {
            biased;
            () = supervise(supervised, Arc::clone(&own), health) => {}
            () = own.send_heartbeats() => {}
        }
    };
    match handle.spawn().placement {
        Placement::Current => {
            actix_rt::spawn(run());
        }
        Placement::Dedicated => {
            let arbiter = match Arbiter::try_new() {
                Ok(arbiter) => arbiter,
                Err(error) => {
                    tracing::error!(actor = handle.name(), %error, "no thread for it can be had");
                    // As one whose supervisor died: down until an operator tries again.
                    handle.health().force(State::Failed);
                    incarnation.ended.cancel();
                    return incarnation;
                }
            };
            let thread = arbiter.handle();
            arbiter.spawn_fn(move || {
                actix_rt::spawn(async move {
                    run().await;
                    sleep(DETACHED_TIMEOUT).await;
                    thread.stop();
                });
            });
        }
    }
    incarnation
}

/// Watches the actor's incarnations until it is stopped.
async fn watch<A: Actor<Context = Context<A>>>(
    handle: ActorHandle<A>,
    mut incarnation: Arc<Incarnation<A>>,
    mut restart_requests: mpsc::Receiver<RestartRequest>,
) {
    let mut checks = interval(HEARTBEAT_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeats = Heartbeats::default();
    let mut dead = false;
    loop {
        tokio::select! {
            // First: what stops is not restarted.
            biased;
            () = handle.stop_requested().cancelled() => {
                if dead {
                    handle.health().force(State::Stopped);
                }
                return;
            }
            () = incarnation.ended.cancelled(), if !dead => {
                dead = true;
                handle.health().force(State::Failed);
                tracing::error!(actor = handle.name(), "its supervisor died: down until an operator restarts it");
            }
            Some(RestartRequest { permit, done }) = restart_requests.recv() => {
                let restarted = replace(&handle, &incarnation).await;
                incarnation = handle.incarnation();
                (heartbeats, dead) = (Heartbeats::default(), false);
                drop(permit);
                // Whoever asked may have gone.
                let _ = done.send(restarted);
            }
            // A thread cannot watch itself.
            _ = checks.tick(), if !dead && handle.spawn().placement == Placement::Dedicated => {
                report(handle.health(), heartbeats.stopped(incarnation.heartbeats()));
            }
        }
    }
}

/// The states in which the actor's thread has something to do for it.
const AT_WORK: [State; 4] = [
    State::Starting,
    State::Running,
    State::BackingOff,
    State::Restarting,
];

fn report(health: &Health, hangs: bool) {
    if hangs && health.transition(&AT_WORK, State::Unresponsive) {
        tracing::error!(
            actor = health.name(),
            "its thread shows no life: something in it blocks; an operator can restart it"
        );
    } else if !hangs && health.transition(&[State::Unresponsive], State::Running) {
        tracing::warn!(actor = health.name(), "its thread lives again");
    }
}

/// How many heartbeats a thread has missed.
#[derive(Debug, Default)]
struct Heartbeats {
    seen: u64,
    missed: u32,
}

impl Heartbeats {
    /// Takes the count at one check; says whether the thread hangs.
    fn stopped(&mut self, seen: u64) -> bool {
        if seen == self.seen {
            self.missed = self.missed.saturating_add(1);
        } else {
            *self = Self { seen, missed: 0 };
        }
        self.missed >= MAX_MISSED
    }
}

/// Ends an incarnation and starts the next, in order as far as the old one lets us.
async fn replace<A: Actor<Context = Context<A>>>(
    handle: &ActorHandle<A>,
    old: &Arc<Incarnation<A>>,
) -> Restarted {
    let (health, asked_at) = (handle.health(), Instant::now());
    // Work outlives a panic of its actor, so it may end also where there is none at the moment.
    let alive = !matches!(health.state_and_paused().0, State::Unresponsive | State::Failed);
    // From here on nothing is let in.
    health.force(State::Restarting);
    old.admission.close();
    let deadline = if alive { asked_at + DRAIN_TIMEOUT } else { asked_at };
    old.admission.emptied(deadline).await;
    let unfinished = old.admission.in_flight();
    old.retired.cancel();
    let thread_left_behind = timeout(END_TIMEOUT, old.ended.cancelled()).await.is_err();
    if thread_left_behind {
        leave_behind(health, old);
    }
    if handle.stop_requested().is_cancelled() {
        health.force(State::Stopped);
    } else {
        // The old actor may have panicked and come back while its work ended: that is not the one to wait for.
        health.force(State::Restarting);
        handle.next_incarnation();
        health.count_restart(RestartReason::Operator);
        start(handle);
        let _ = timeout(BUILD_TIMEOUT, health.reached(State::Running)).await;
    }
    let restarted = Restarted {
        unfinished,
        thread_left_behind,
        state: health.state_and_paused().0,
        took_ms: u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    tracing::warn!(actor = health.name(), ?restarted, "restarted by an operator");
    restarted
}

/// Tells those who wait for a thread that hangs, and counts it until it ends after all.
fn leave_behind<A: Actor<Context = Context<A>>>(health: &Health, incarnation: &Arc<Incarnation<A>>) {
    tracing::error!(actor = health.name(), "its thread hangs and is left behind");
    incarnation.left_behind.cancel();
    health.count_blocked_thread();
    let (health, incarnation) = (health.clone(), Arc::clone(incarnation));
    actix_rt::spawn(async move {
        incarnation.ended.cancelled().await;
        health.count_freed_thread();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_hangs_after_some_checks_without_a_heartbeat_and_not_before() {
        let mut heartbeats = Heartbeats::default();
        assert!((1..20).all(|seen| !heartbeats.stopped(seen)));
        let checks: Vec<bool> = (0..6).map(|_| heartbeats.stopped(19)).collect();
        assert_eq!(checks, [false, false, false, false, true, true]);
        assert!(!heartbeats.stopped(20));
    }
}
