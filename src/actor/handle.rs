//! The way to an actor.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use metrics::Histogram;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::admission::{Admitted, Load};
use super::ask::{Ask, AskError, RETRY_AFTER, Reply, Request, classify};
use super::class::{Class, FailureClass};
use super::client::ClientId;
use super::health::{Health, State};
use super::incarnation::{Incarnation, RestartRequest, Restarted};
use super::policy::Spawn;
use super::refused::Refused;
use crate::metric::{self, Handles};

/// How long an actor whose work did not end in time may take for its own end.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A handle to a supervised actor: it stays the same while the actor behind it is replaced.
#[derive(derive_more::Debug)]
#[debug("ActorHandle({})", self.inner.health.name())]
pub struct ActorHandle<A: Actor> {
    inner: Arc<Inner<A>>,
}

/// Makes an actor from its settings, now and after each failure.
pub(super) type Build<A> = Box<dyn Fn(&Health) -> A + Send + Sync>;

struct Inner<A: Actor> {
    /// How the actor is started and made: with the handle rather than with the thread it runs on, which may be what hangs.
    spawn: Spawn,
    build: Build<A>,
    incarnation: watch::Sender<Arc<Incarnation<A>>>,
    health: Health,
    restart_requests: mpsc::Sender<RestartRequest>,
    /// There is one restart at a time.
    restart_permit: Arc<Semaphore>,
    stop: CancellationToken,
    #[cfg(feature = "test-support")]
    faults: super::fault::Faults,
    /// How long its operations take.
    seconds: Handles<&'static str, Histogram>,
}

impl<A: Actor> Clone for ActorHandle<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    pub(super) fn new(spawn: Spawn, build: Build<A>, restart_requests: mpsc::Sender<RestartRequest>) -> Self {
        let health = Health::new(&spawn.name);
        let first = Incarnation::new(&health, &spawn);
        Self {
            inner: Arc::new(Inner {
                incarnation: watch::Sender::new(Arc::new(first)),
                health,
                spawn,
                build,
                restart_requests,
                restart_permit: Arc::new(Semaphore::new(1)),
                stop: CancellationToken::new(),
                #[cfg(feature = "test-support")]
                faults: super::fault::Faults::default(),
                seconds: Handles::default(),
            }),
        }
    }

    /// The actor's name, such as `asterisk.main`.
    pub fn name(&self) -> &str {
        self.inner.health.name()
    }

    /// What is known of the actor; never asks the actor itself.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// What each class of its operations has to do.
    pub fn load(&self) -> Vec<Load> {
        self.incarnation().admission.load()
    }

    /// Asks the actor for the gateway itself, and waits for its reply, at most until `deadline`.
    ///
    /// # Errors
    /// As [`ask_for`](Self::ask_for).
    ///
    /// # Cancel safety
    /// As [`ask_for`](Self::ask_for).
    pub async fn ask<M>(&self, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        self.ask_as(None, message, deadline).await
    }

    /// Asks the actor for a client, which has no more than its share where others wait as well, and waits for its reply, at
    /// most until `deadline`.
    ///
    /// # Errors
    /// See [`AskError`]; unless it is `Interrupted`, a `Reply`, or a deadline that passed once the work was begun, nothing can
    /// have reached the integration.
    ///
    /// # Cancel safety
    /// Dropping the future while it waits for a permit or in the mailbox means that nothing happens. Once the
    /// actor has begun, the work goes on without its caller, with its permit, until its end or the deadline.
    pub async fn ask_for<M>(&self, client: &ClientId, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        self.ask_as(Some(client), message, deadline).await
    }

    async fn ask_as<M>(&self, client: Option<&ClientId>, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        let incarnation = self.incarnation();
        match self.admit(&incarnation, M::CLASS, client, deadline).await {
            Ok(admitted) => match self.send(&incarnation, message, deadline, Some(admitted)).await {
                // The actor went away meanwhile.
                Err(refused @ (AskError::Restarting { .. } | AskError::Failed)) => {
                    Err(self.shed(M::CLASS, refused))
                }
                reply => reply,
            },
            Err(refused) => Err(self.shed(M::CLASS, refused)),
        }
    }

    /// Whether work of a class would be let in now, for who would wait for something else first.
    ///
    /// # Errors
    /// Why not, which is counted as of what was asked; never [`AskError::Saturated`]: permits come and go.
    pub fn admits<E>(&self, class: Class) -> Result<(), AskError<E>> {
        self.check(&self.incarnation(), class)
            .map_err(|refused| self.shed(class, refused))
    }

    async fn admit<E>(
        &self,
        incarnation: &Incarnation<A>,
        class: Class,
        client: Option<&ClientId>,
        deadline: Instant,
    ) -> Result<Admitted, AskError<E>> {
        // Before the wait, so that nobody waits for what is refused anyway.
        self.check(incarnation, class)?;
        let admitted = incarnation.admission.admit(class, client, deadline).await;
        let admitted = admitted.map_err(|refused| self.refusal(refused))?;
        // It may have been paused meanwhile, or hang.
        self.check_state(class)?;
        Ok(admitted)
    }

    fn check<E>(&self, incarnation: &Incarnation<A>, class: Class) -> Result<(), AskError<E>> {
        self.check_state(class)?;
        incarnation
            .admission
            .check(class)
            .map_err(|refused| self.refusal(refused))
    }

    /// Whether the actor takes work of a class.
    fn check_state<E>(&self, class: Class) -> Result<(), AskError<E>> {
        let (state, paused) = self.inner.health.state_and_paused();
        if state != State::Running {
            return Err(self.unavailable());
        }
        // To end a call is no work that a pause keeps away.
        if paused && class != Class::Hangup {
            return Err(AskError::Paused);
        }
        Ok(())
    }

    fn refusal<E>(&self, refused: Refused) -> AskError<E> {
        match refused {
            Refused::Saturated { retry_after } => AskError::Saturated { retry_after },
            Refused::CircuitOpen { retry_after } => AskError::CircuitOpen { retry_after },
            Refused::Closed => self.unavailable(),
        }
    }

    /// Counts a refusal.
    fn shed<E>(&self, class: Class, refused: AskError<E>) -> AskError<E> {
        metric::shed(self.name().to_owned(), class.as_str(), reason(&refused)).increment(1);
        refused
    }

    /// As [`ask`](Self::ask), without admission control and in spite of a pause: for control messages, which must not queue
    /// behind the work.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), but never [`AskError::Saturated`], [`AskError::CircuitOpen`] or [`AskError::Paused`].
    ///
    /// # Cancel safety
    /// As [`ask`](Self::ask).
    pub async fn control<M>(&self, message: M, deadline: Instant) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        self.send(&self.incarnation(), message, deadline, None).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that sends, with permit and deadline"
    )]
    async fn send<M>(
        &self,
        incarnation: &Incarnation<A>,
        message: M,
        deadline: Instant,
        admitted: Option<Admitted>,
    ) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        let Some(address) = incarnation.address() else {
            return Err(self.unavailable());
        };
        let started = Instant::now();
        let (ask, caller) = Ask::new(
            message,
            deadline,
            admitted,
            self.inner.health.clone(),
            incarnation.retired.clone(),
        );
        let answer = async {
            tokio::select! {
                biased;
                answer = address.send(ask) => answer.ok(),
                // It may hang for ever.
                () = incarnation.left_behind.cancelled() => None,
            }
        };
        let reply = match timeout_at(deadline, answer).await {
            Ok(Some(reply)) => reply,
            // actix says Closed both when the actor is gone and when the work was lost half-way.
            Ok(None) if caller.abandon() => Err(AskError::Interrupted),
            Ok(None) => Err(self.unavailable()),
            Err(_) => Err(AskError::DeadlineExceeded {
                begun: caller.abandon(),
            }),
        };
        let late = match &reply {
            Err(AskError::DeadlineExceeded { begun: false }) => Some("false"),
            reply => (classify(reply) == FailureClass::TimedOut).then_some("true"),
        };
        if let Some(begun) = late {
            metric::deadlines_exceeded(self.name().to_owned(), M::OPERATION, begun).increment(1);
        }
        let seconds = self.inner.seconds.get(M::OPERATION, |operation| {
            metric::ask_seconds(self.name().to_owned(), *operation)
        });
        seconds.record(started.elapsed());
        reply
    }

    fn unavailable<E>(&self) -> AskError<E> {
        match self.inner.health.state_and_paused().0 {
            State::Failed | State::Unresponsive | State::Stopped => AskError::Failed,
            State::Starting | State::Running | State::BackingOff | State::Restarting => {
                AskError::Restarting {
                    retry_after: RETRY_AFTER,
                }
            }
        }
    }

    pub(super) fn incarnation(&self) -> Arc<Incarnation<A>> {
        Arc::clone(&self.inner.incarnation.borrow())
    }

    /// Replaces the present incarnation by a new one.
    pub(super) fn next_incarnation(&self) {
        let next = Incarnation::new(&self.inner.health, &self.inner.spawn);
        self.inner.incarnation.send_replace(Arc::new(next));
    }

    /// Asks the watchdog for a restart; none while one is under way already.
    pub(super) fn request_restart(&self) -> Option<oneshot::Receiver<Restarted>> {
        let permit = Arc::clone(&self.inner.restart_permit).try_acquire_owned().ok()?;
        let (done, restarted) = oneshot::channel();
        self.inner
            .restart_requests
            .try_send(RestartRequest { permit, done })
            .ok()?;
        Some(restarted)
    }

    pub(super) fn spawn(&self) -> &Spawn {
        &self.inner.spawn
    }

    /// Builds the next instance of the actor.
    pub(super) fn build(&self, health: &Health) -> A {
        (self.inner.build)(health)
    }

    /// Lets work in flight end, at most until `deadline`, and nothing more in; then stops the actor for good.
    ///
    /// # Cancel safety
    /// Dropping the future before its end leaves the actor running.
    pub async fn stop(&self, deadline: Instant) {
        // Held to the end, so that nothing more is let in.
        let incarnation = self.incarnation();
        let drained = incarnation.admission.drained(deadline).await;
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

    #[cfg(feature = "test-support")]
    pub(super) fn faults(&self) -> &super::fault::Faults {
        &self.inner.faults
    }
}

/// A refusal's name in the metrics.
fn reason<E>(refused: &AskError<E>) -> &'static str {
    match refused {
        AskError::Saturated { .. } => "saturated",
        AskError::CircuitOpen { .. } => "circuit_open",
        AskError::Paused => "paused",
        AskError::Restarting { .. } => "restarting",
        AskError::Failed => "failed",
        AskError::DeadlineExceeded { .. } => "deadline",
        AskError::Interrupted => "interrupted",
        AskError::Reply(_) => "reply",
    }
}
