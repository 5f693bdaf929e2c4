//! Stands above an actor's supervisor, on the thread that spawned the actor: sees when the actor's own thread hangs, and
//! gives the actor another one when an operator asks for it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::Arbiter;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::handle::{ActorHandle, Build};
use super::health::{Health, RestartReason, State};
use super::policy::{Placement, Spawn};
use super::supervisor::supervise;
use super::tenure::{BEAT, Restarted, Tenure, Wish};

/// Looks in a row without a sign of life that make a thread unresponsive.
const MISSED: u32 = 5;

/// How long work in flight may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long the old thread may take to end, once its work was told to.
const END: Duration = Duration::from_secs(1);

/// How long what an actor detached may take to end in order, such as a socket that is to be closed.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// How long the new actor may take to be built, before the operator is told that it is still starting.
const BUILD: Duration = Duration::from_secs(2);

/// Starts an actor under supervision. `build` makes it, now and after each failure, from its settings.
///
/// The handle is there at once; until the actor is built it answers
/// [`AskError::Restarting`](super::AskError::Restarting).
pub fn spawn<A, F>(spawn: Spawn, build: F) -> ActorHandle<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Health) -> A + Send + Sync + 'static,
{
    let (wishes, received) = mpsc::channel(1);
    let build: Build<A> = Box::new(build);
    let handle = ActorHandle::new(spawn, build, wishes);
    let tenure = begin(&handle);
    actix_rt::spawn(oversee(handle.clone(), tenure, received));
    handle
}

/// Begins the handle's present tenure.
fn begin<A: Actor<Context = Context<A>>>(handle: &ActorHandle<A>) -> Arc<Tenure<A>> {
    let tenure = handle.tenure();
    let health = handle.health().next_life();
    let (supervised, own) = (handle.clone(), Arc::clone(&tenure));
    let whole = async move || {
        tokio::select! {
            biased;
            () = supervise(supervised, Arc::clone(&own), health) => {}
            () = own.beat() => {}
        }
    };
    match handle.spawn().placement {
        Placement::Current => {
            actix_rt::spawn(whole());
        }
        Placement::Dedicated => {
            let arbiter = match Arbiter::try_new() {
                Ok(arbiter) => arbiter,
                Err(error) => {
                    tracing::error!(actor = handle.name(), %error, "no thread for it can be had");
                    // As one whose supervisor died: down until an operator tries again.
                    handle.health().put(State::Failed);
                    tenure.ended.cancel();
                    return tenure;
                }
            };
            let thread = arbiter.handle();
            arbiter.spawn_fn(move || {
                actix_rt::spawn(async move {
                    whole().await;
                    sleep(AFTERWARDS).await;
                    thread.stop();
                });
            });
        }
    }
    tenure
}

/// Looks after the actor's tenures until it is stopped.
async fn oversee<A: Actor<Context = Context<A>>>(
    handle: ActorHandle<A>,
    mut tenure: Arc<Tenure<A>>,
    mut wishes: mpsc::Receiver<Wish>,
) {
    let mut looks = interval(BEAT);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pulse = Pulse::default();
    let mut dead = false;
    loop {
        tokio::select! {
            // Before a wish: what stops is not restarted.
            biased;
            () = handle.stop_requested().cancelled() => {
                if dead {
                    handle.health().put(State::Stopped);
                }
                return;
            }
            () = tenure.ended.cancelled(), if !dead => {
                dead = true;
                handle.health().put(State::Failed);
                tracing::error!(actor = handle.name(), "its supervisor died: down until an operator restarts it");
            }
            Some(Wish { turn, done }) = wishes.recv() => {
                let restarted = replace(&handle, &tenure).await;
                tenure = handle.tenure();
                (pulse, dead) = (Pulse::default(), false);
                drop(turn);
                // Whoever asked may have gone.
                let _ = done.send(restarted);
            }
            // On the same thread there is nobody to look.
            _ = looks.tick(), if !dead && handle.spawn().placement == Placement::Dedicated => {
                look(handle.health(), pulse.hangs(tenure.beats()));
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

fn look(health: &Health, hangs: bool) {
    if hangs && health.exchange(&AT_WORK, State::Unresponsive) {
        tracing::error!(
            actor = health.name(),
            "its thread shows no life: something in it blocks; an operator can restart it"
        );
    } else if !hangs && health.exchange(&[State::Unresponsive], State::Running) {
        tracing::warn!(actor = health.name(), "its thread lives again");
    }
}

/// How long a thread has shown no life.
#[derive(Debug, Default)]
struct Pulse {
    beats: u64,
    missed: u32,
}

impl Pulse {
    /// Takes a look; says whether the thread hangs.
    fn hangs(&mut self, beats: u64) -> bool {
        if beats == self.beats {
            self.missed = self.missed.saturating_add(1);
        } else {
            *self = Self { beats, missed: 0 };
        }
        self.missed >= MISSED
    }
}

/// Ends a tenure and begins the next, in order as far as the old one lets us.
async fn replace<A: Actor<Context = Context<A>>>(handle: &ActorHandle<A>, old: &Arc<Tenure<A>>) -> Restarted {
    let (health, asked_at) = (handle.health(), Instant::now());
    // Work outlives a panic of its actor, so it may end also where there is none at the moment.
    let alive = !matches!(health.standing().0, State::Unresponsive | State::Failed);
    // From here on nothing is let in.
    health.put(State::Restarting);
    old.gates.close();
    let deadline = if alive { asked_at + GRACE } else { asked_at };
    old.gates.emptied(deadline).await;
    let unfinished = old.gates.in_flight();
    old.retired.cancel();
    let thread_left_behind = timeout(END, old.ended.cancelled()).await.is_err();
    if thread_left_behind {
        leave_behind(health, old);
    }
    if handle.stop_requested().is_cancelled() {
        health.put(State::Stopped);
    } else {
        // The old actor may have panicked and come back while its work ended: that is not the one to wait for.
        health.put(State::Restarting);
        handle.begin_tenure();
        health.count_restart(RestartReason::Operator);
        begin(handle);
        let _ = timeout(BUILD, health.reached(State::Running)).await;
    }
    let restarted = Restarted {
        unfinished,
        thread_left_behind,
        state: health.standing().0,
        took_ms: u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    tracing::warn!(actor = health.name(), ?restarted, "restarted by an operator");
    restarted
}

/// Tells those who wait for a thread that hangs, and counts it until it ends after all.
fn leave_behind<A: Actor<Context = Context<A>>>(health: &Health, tenure: &Arc<Tenure<A>>) {
    tracing::error!(actor = health.name(), "its thread hangs and is left behind");
    tenure.left_behind.cancel();
    health.count_blocked_thread();
    let (health, tenure) = (health.clone(), Arc::clone(tenure));
    actix_rt::spawn(async move {
        tenure.ended.cancelled().await;
        health.count_freed_thread();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_hangs_after_some_looks_without_a_beat_and_not_before() {
        let mut pulse = Pulse::default();
        assert!((1..20).all(|beats| !pulse.hangs(beats)));
        let looks: Vec<bool> = (0..6).map(|_| pulse.hangs(19)).collect();
        assert_eq!(looks, [false, false, false, false, true, true]);
        assert!(!pulse.hangs(20));
    }
}
