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
use super::tenure::Tenure;

/// Room in a mailbox for control messages and notes beside the asks, which permits already bound.
const MAILBOX_HEADROOM: usize = 256;

/// Looks after the actor until it is stopped for good, or this tenure is over.
pub(super) async fn supervise<A: Actor<Context = Context<A>>>(
    handle: ActorHandle<A>,
    tenure: Arc<Tenure<A>>,
    mut health: Health,
) {
    // However this ends, a panic of our own included.
    let _ended = tenure.ended.clone().drop_guard();
    let restart = handle.spawn().restart;
    let mut failures: VecDeque<Instant> = VecDeque::new();
    loop {
        let reason = match run_once(&handle, &tenure, &health).await {
            Ended::Stopped => return health.enter(State::Stopped),
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
            health.enter(State::Failed);
            tracing::error!(
                actor = health.name(),
                "restart budget used up: down until an operator restarts it"
            );
            tokio::select! {
                () = handle.stop_requested().cancelled() => health.enter(State::Stopped),
                () = tenure.retired.cancelled() => {}
            }
            return;
        }
        health.enter(State::BackingOff);
        let attempt = u32::try_from(failures.len().saturating_sub(1)).unwrap_or(u32::MAX);
        tokio::select! {
            () = sleep(restart.backoff.delay(attempt)) => health.count_restart(reason),
            () = handle.stop_requested().cancelled() => return health.enter(State::Stopped),
            () = tenure.retired.cancelled() => return,
        }
        let Some(next) = health.succeed() else { return };
        health = next;
    }
}

/// How one life of an actor ended.
enum Ended {
    Stopped,
    Retired,
    ByItself,
    Panicked(String),
    WithDependency(String),
}

async fn run_once<A: Actor<Context = Context<A>>>(
    handle: &ActorHandle<A>,
    tenure: &Tenure<A>,
    health: &Health,
) -> Ended {
    let dependencies = Dependencies::of(&handle.spawn().depends_on);
    let actor = match catch_unwind(AssertUnwindSafe(|| handle.build(health))) {
        Ok(actor) => actor,
        Err(panic) => return Ended::Panicked(panic_message(panic.as_ref())),
    };
    // It may have taken so long that another has the place.
    if tenure.retired.is_cancelled() {
        return Ended::Retired;
    }
    let mut context = Context::new();
    context.set_mailbox_capacity(tenure.gates.permits() + MAILBOX_HEADROOM);
    let address = context.address();
    let mut life: ContextFut<A, Context<A>> = context.into_future(actor);
    tenure.replace_address(Some(address));
    health.enter(State::Running);
    let turn = async {
        tokio::select! {
            // What waits in the mailbox comes before the wish to stop.
            biased;
            () = &mut life => Ended::ByItself,
            () = handle.stop_requested().cancelled() => Ended::Stopped,
            () = tenure.retired.cancelled() => Ended::Retired,
            name = dependencies.restarted() => Ended::WithDependency(name),
        }
    };
    #[cfg(feature = "fault-injection")]
    let turn = handle.faults().beside(turn);
    let ended = AssertUnwindSafe(turn).catch_unwind().await;
    tenure.replace_address(None);
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

/// The actors that this one is built upon, each in the life that it had then.
struct Dependencies<'a>(Vec<(&'a Health, u64)>);

impl<'a> Dependencies<'a> {
    fn of(all: &'a [Health]) -> Self {
        Self(all.iter().map(|health| (health, health.current_life())).collect())
    }

    /// Waits until one of them is in another life, and says which.
    async fn restarted(&self) -> String {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let left = self.0.iter().map(|(health, life)| {
            Box::pin(async move {
                health.left(*life).await;
                health.name().to_owned()
            })
        });
        select_all(left).await.0
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
