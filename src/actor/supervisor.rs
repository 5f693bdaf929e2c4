//! Keeps an actor alive: catches its panics, backs off, rebuilds it, and gives up visibly.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::dev::ContextFut;
use actix::{Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message};
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::ask::panic_message;
use super::handle::ActorHandle;
use super::health::{Health, RestartReason, State};
use super::incarnation::Incarnation;

/// Room in a mailbox for control messages and those from detached work beside the asks, which permits already bound.
const MAILBOX_HEADROOM: usize = 256;

/// Looks after the actor until it is stopped for good, or this incarnation is over.
pub(super) async fn supervise<A: Actor<Context = Context<A>>>(
    handle: ActorHandle<A>,
    incarnation: Arc<Incarnation<A>>,
    mut health: Health,
) {
    // However this ends, a panic of our own included.
    let _ended = incarnation.ended.clone().drop_guard();
    let restart = handle.spawn().restart;
    let mut failures: VecDeque<Instant> = VecDeque::new();
    loop {
        let reason = match run_once(&handle, &incarnation, &health).await {
            Ended::Stopped => return health.set_state(State::Stopped),
            Ended::Retired => return,
            Ended::ByItself => {
                health.count_failure("stopped by itself");
                RestartReason::Stopped
            }
            Ended::Panicked(message) => {
                health.count_panic("actor", &message);
                RestartReason::Panic
            }
            Ended::WithDependency(name) => {
                tracing::info!(
                    actor = health.name(),
                    dependency = name,
                    "restarts with what it depends on"
                );
                RestartReason::Dependency
            }
        };
        // Not its own failure: the budget is for those.
        if reason != RestartReason::Dependency {
            let now = Instant::now();
            failures.push_back(now);
            failures.retain(|earlier| now - *earlier <= restart.window);
        }
        if failures.len() > restart.budget {
            health.set_state(State::Failed);
            tracing::error!(
                actor = health.name(),
                "restart budget used up: down until an operator restarts it"
            );
            tokio::select! {
                () = handle.stop_requested().cancelled() => health.set_state(State::Stopped),
                () = incarnation.retired.cancelled() => {}
            }
            return;
        }
        health.set_state(State::BackingOff);
        let attempt = u32::try_from(failures.len().saturating_sub(1)).unwrap_or(u32::MAX);
        tokio::select! {
            () = sleep(restart.backoff.delay(attempt)) => health.count_restart(reason),
            () = handle.stop_requested().cancelled() => return health.set_state(State::Stopped),
            () = incarnation.retired.cancelled() => return,
        }
        let Some(next) = health.replacement() else {
            return;
        };
        health = next;
    }
}

/// How one instance of an actor ended.
enum Ended {
    Stopped,
    Retired,
    ByItself,
    Panicked(String),
    WithDependency(String),
}

async fn run_once<A: Actor<Context = Context<A>>>(
    handle: &ActorHandle<A>,
    incarnation: &Incarnation<A>,
    health: &Health,
) -> Ended {
    // From before it is built: it is built upon them as they are now.
    let dependency = restarted(&handle.spawn().depends_on);
    let actor = match catch_unwind(AssertUnwindSafe(|| handle.build(health))) {
        Ok(actor) => actor,
        Err(panic) => return Ended::Panicked(panic_message(panic.as_ref())),
    };
    // It may have taken so long that another incarnation has begun.
    if incarnation.retired.is_cancelled() {
        return Ended::Retired;
    }
    let mut context = Context::new();
    context.set_mailbox_capacity(incarnation.admission.permits() + MAILBOX_HEADROOM);
    let address = context.address();
    let mut instance: ContextFut<A, Context<A>> = context.into_future(actor);
    incarnation.replace_address(Some(address));
    health.set_state(State::Running);
    let run = async {
        tokio::select! {
            // What waits in the mailbox comes before the request to stop.
            biased;
            () = &mut instance => Ended::ByItself,
            () = handle.stop_requested().cancelled() => Ended::Stopped,
            () = incarnation.retired.cancelled() => Ended::Retired,
            name = dependency => Ended::WithDependency(name),
        }
    };
    #[cfg(feature = "test-support")]
    let run = handle.faults().beside(run);
    let ended = AssertUnwindSafe(run).catch_unwind().await;
    incarnation.replace_address(None);
    let ended = ended.unwrap_or_else(|panic| {
        // Terminated, the context does not poll the broken actor once more when it is dropped.
        instance.ctx().terminate();
        Ended::Panicked(panic_message(panic.as_ref()))
    });
    // Dropping runs the actor's own code: `stopping`, `stopped`, its fields.
    match catch_unwind(AssertUnwindSafe(|| drop(instance))) {
        Ok(()) => ended,
        Err(panic) => Ended::Panicked(panic_message(panic.as_ref())),
    }
}

/// Waits until one of some actors is another instance than it is now, and says which.
fn restarted(dependencies: &[Health]) -> impl Future<Output = String> {
    let now: Vec<(&Health, u64)> = dependencies
        .iter()
        .map(|health| (health, health.current_instance()))
        .collect();
    async move {
        if now.is_empty() {
            return std::future::pending().await;
        }
        let replaced = now.into_iter().map(|(health, instance)| {
            Box::pin(async move {
                health.replaced(instance).await;
                health.name().to_owned()
            })
        });
        select_all(replaced).await.0
    }
}

/// Sends an actor a message from work that it detached itself. A message to an actor that is gone is dropped with it.
///
/// These messages are not bounded by permits: only work that is bounded itself may send them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place for messages from detached work; see the bound above"
)]
pub fn notify<A, M>(address: &Addr<A>, message: M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message<Result = ()> + Send + 'static,
{
    address.do_send(message);
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
