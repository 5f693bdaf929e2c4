//! Keeps an actor alive: catches its panics, backs off, rebuilds it, and gives up visibly.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message};
use actix_rt::Arbiter;
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::ask::panic_message;
use super::handle::ActorHandle;
use super::health::{Health, State};
use super::policy::{Placement, Spawn};

/// Room in a mailbox for control messages and notes beside the asks, which permits already bound.
const MAILBOX_HEADROOM: usize = 256;

/// Starts an actor under supervision. `build` makes it, now and after each failure, from its settings.
///
/// The handle is there at once; until the actor is built it answers
/// [`AskError::Restarting`](super::AskError::Restarting).
pub fn spawn<A, F>(spawn: Spawn, build: F) -> ActorHandle<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Health) -> A + Send + Sync + 'static,
{
    let placement = spawn.placement;
    let handle = ActorHandle::new(spawn, Box::new(build));
    let supervised = handle.clone();
    match placement {
        Placement::Current => {
            actix_rt::spawn(supervise(supervised));
        }
        Placement::Dedicated => {
            let arbiter = Arbiter::new();
            let own = arbiter.handle();
            arbiter.spawn_fn(move || {
                actix_rt::spawn(async move {
                    supervise(supervised).await;
                    own.stop();
                });
            });
        }
    }
    handle
}

async fn supervise<A: Actor<Context = Context<A>>>(handle: ActorHandle<A>) {
    let restart = handle.spawn().restart;
    let health = handle.health().clone();
    let mut failures: VecDeque<Instant> = VecDeque::new();
    loop {
        let failure = match run_once(&handle).await {
            Ended::Stopped => {
                health.enter(State::Stopped);
                return;
            }
            Ended::ByItself => {
                health.count_failure("stopped by itself");
                Instant::now()
            }
            Ended::Panicked(message) => {
                health.count_panic("actor", &message);
                Instant::now()
            }
        };
        failures.push_back(failure);
        failures.retain(|earlier| failure - *earlier <= restart.window);
        if failures.len() > restart.budget {
            health.enter(State::Failed);
            tracing::error!(
                actor = health.name(),
                "restart budget used up: down until an operator restarts it"
            );
            handle.stop_requested().cancelled().await;
            health.enter(State::Stopped);
            return;
        }
        health.enter(State::BackingOff);
        let attempt = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX);
        tokio::select! {
            () = tokio::time::sleep(restart.backoff.delay(attempt)) => health.count_restart(),
            () = handle.stop_requested().cancelled() => {
                health.enter(State::Stopped);
                return;
            }
        }
    }
}

/// How one life of an actor ended.
enum Ended {
    Stopped,
    ByItself,
    Panicked(String),
}

async fn run_once<A: Actor<Context = Context<A>>>(handle: &ActorHandle<A>) -> Ended {
    let health = handle.health().next_life();
    let actor = match catch_unwind(AssertUnwindSafe(|| handle.build(&health))) {
        Ok(actor) => actor,
        Err(panic) => return Ended::Panicked(panic_message(panic.as_ref())),
    };
    let mut context = Context::new();
    context.set_mailbox_capacity(handle.spawn().limits.in_flight + MAILBOX_HEADROOM);
    let address = context.address();
    let mut life: ContextFut<A, Context<A>> = context.into_future(actor);
    handle.replace_address(Some(address));
    health.enter(State::Running);
    let turn = async {
        tokio::select! {
            // What waits in the mailbox comes before the wish to stop.
            biased;
            () = &mut life => Ended::ByItself,
            () = handle.stop_requested().cancelled() => Ended::Stopped,
            () = handle.drill_requested() => panic!("a drill"),
        }
    };
    let ended = AssertUnwindSafe(turn).catch_unwind().await;
    handle.replace_address(None);
    let ended = ended.unwrap_or_else(|panic| {
        // Terminated, the context does not poll the broken actor once more when it is dropped.
        life.ctx().terminate();
        Ended::Panicked(panic_message(panic.as_ref()))
    });
    // Dropping runs the actor's own code: `stopping`, `stopped`, its fields.
    match catch_unwind(AssertUnwindSafe(|| drop(life))) {
        Ok(()) => ended,
        Err(panic) => Ended::Panicked(panic_message(panic.as_ref())),
    }
}

/// Leaves an actor a note from work that it detached itself. A note to an actor that is gone is dropped with it.
///
/// Notes are not bounded by permits: only work that is bounded itself may leave them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place for notes; see the bound above"
)]
pub fn notify<A, M>(address: &Addr<A>, note: M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message<Result = ()> + Send + 'static,
{
    address.do_send(note);
}

/// Detaches work from an actor onto its thread; a panic in it is caught and counted, and what it logs belongs to the
/// request it was detached for, if there is one.
pub fn spawn_detached<F>(health: &Health, place: &'static str, work: F) -> actix_rt::task::JoinHandle<()>
where
    F: Future<Output = ()> + 'static,
{
    let health = health.clone();
    let work = async move {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            health.count_panic(place, &panic_message(panic.as_ref()));
        }
    };
    actix_rt::spawn(work.in_current_span())
}
