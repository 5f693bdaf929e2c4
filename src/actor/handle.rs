//! The way to an actor.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, AskError, Reply, Request};
use super::bulkhead::{Bulkhead, Permit, Saturated};
use super::health::{Health, State};
use super::policy::Spawn;

use crate::metric;

/// When to try again after a refusal that passes by itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long an actor whose work did not end in time may take for its own end.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A handle to a supervised actor: it stays the same while the actor behind it is replaced.
pub struct ActorHandle<A: Actor> {
    inner: Arc<Inner<A>>,
}

/// Makes an actor from its settings, now and after each failure.
pub(super) type Build<A> = Box<dyn Fn(&Health) -> A + Send + Sync>;

struct Inner<A: Actor> {
    /// How the actor is started and made: with the handle rather than with the thread it runs on, which may be what hangs.
    spawn: Spawn,
    build: Build<A>,
    address: RwLock<Option<Addr<A>>>,
    bulkhead: Bulkhead,
    health: Health,
    stop: CancellationToken,
    drill: Notify,
}

impl<A: Actor> Clone for ActorHandle<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<A: Actor> fmt::Debug for ActorHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorHandle")
            .field("name", &self.inner.health.name())
            .finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    pub(super) fn new(spawn: Spawn, build: Build<A>) -> Self {
        let bulkhead = Bulkhead::new(spawn.limits);
        Self {
            inner: Arc::new(Inner {
                address: RwLock::new(None),
                health: Health::new(&spawn.name).with_bulkhead(bulkhead.clone()),
                spawn,
                build,
                bulkhead,
                stop: CancellationToken::new(),
                drill: Notify::new(),
            }),
        }
    }

    /// The actor's name, such as `asterisk.main`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.health.name()
    }

    /// What is known of the actor; never asks the actor itself.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// What bounds the actor's work.
    #[must_use]
    pub fn bulkhead(&self) -> &Bulkhead {
        &self.inner.bulkhead
    }

    /// Asks the actor and waits for its reply, at most until `deadline`.
    ///
    /// # Errors
    /// See [`AskError`]; [`AskError::never_begun`] tells whether anything can have reached the integration.
    ///
    /// # Cancel safety
    /// Dropping the future while it waits for a permit or in the mailbox means that nothing happens. Once the
    /// actor has begun, the work goes on without its caller, with its permit, until its end or the deadline.
    pub async fn ask<M>(&self, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        let permit = match self.inner.bulkhead.admit(deadline).await {
            Ok(permit) => permit,
            Err(Saturated) => {
                metrics::counter!(metric::SHED, "actor" => self.name().to_owned(), "reason" => "saturated")
                    .increment(1);
                return Err(AskError::Saturated {
                    retry_after: RETRY_AFTER,
                });
            }
        };
        self.send(message, deadline, Some(permit)).await
    }

    /// As [`ask`](Self::ask), past the bulkhead: for control, which must not queue behind the work it controls.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), but never [`AskError::Saturated`].
    ///
    /// # Cancel safety
    /// As [`ask`](Self::ask).
    pub async fn control<M>(&self, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        self.send(message, deadline, None).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that sends, with permit and deadline"
    )]
    async fn send<M>(&self, message: M, deadline: Instant, permit: Option<Permit>) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        let Some(address) = self.address() else {
            return Err(self.absence());
        };
        let started = Instant::now();
        let (ask, caller) = Ask::new(message, deadline, permit, self.inner.health.clone());
        let reply = match timeout_at(deadline, address.send(ask)).await {
            Ok(Ok(reply)) => reply,
            // actix says Closed both when the actor is gone and when the work was lost half-way.
            Ok(Err(_)) if caller.abandon() => Err(AskError::Interrupted),
            Ok(Err(_)) => Err(self.absence()),
            Err(_) => Err(AskError::DeadlineExceeded {
                begun: caller.abandon(),
            }),
        };
        metrics::histogram!(metric::ASK_SECONDS, "actor" => self.name().to_owned(), "operation" => M::OPERATION)
            .record(started.elapsed());
        reply
    }

    fn absence<E>(&self) -> AskError<E> {
        match self.inner.health.report().state {
            State::Failed | State::Stopped => AskError::Failed,
            State::Starting | State::Running | State::BackingOff => AskError::Restarting {
                retry_after: RETRY_AFTER,
            },
        }
    }

    fn address(&self) -> Option<Addr<A>> {
        self.inner
            .address
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn spawn(&self) -> &Spawn {
        &self.inner.spawn
    }

    /// Makes the actor for its next life.
    pub(super) fn build(&self, health: &Health) -> A {
        (self.inner.build)(health)
    }

    /// Puts another actor behind the handle, or none.
    pub(super) fn replace_address(&self, address: Option<Addr<A>>) {
        *self.inner.address.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Lets work in flight end, at most until `deadline`, and nothing more in; then stops the actor for good.
    ///
    /// # Cancel safety
    /// Dropping the future before its end leaves the actor running.
    pub async fn stop(&self, deadline: Instant) {
        // Held to the end, so that nothing more is let in.
        let drained = self.inner.bulkhead.drained(deadline).await;
        if drained.is_none() {
            tracing::warn!(actor = self.name(), "stopped with work in flight");
        }
        self.inner.stop.cancel();
        let stopped = self.inner.health.reached(State::Stopped);
        if timeout_at(deadline.max(Instant::now() + STOP_GRACE), stopped)
            .await
            .is_err()
        {
            tracing::warn!(actor = self.name(), "did not stop in time");
        }
    }

    pub(super) fn stop_requested(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// A fire drill: the actor panics at its next turn, as a bug in it would make it.
    pub fn drill(&self) {
        self.inner.drill.notify_one();
    }

    pub(super) async fn drill_requested(&self) {
        self.inner.drill.notified().await;
    }
}
