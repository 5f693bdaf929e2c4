//! The way to an actor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use metrics::Histogram;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, AskError, RETRY_AFTER, Reply, Request, judge};
use super::class::{Class, Verdict};
use super::gate::{Load, Pass};
use super::health::{Health, State};
use super::policy::Spawn;
use super::refused::Refused;
use super::tenure::{Restarted, Tenure, Wish};
use crate::metric::{self, Handles};

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
    tenure: watch::Sender<Arc<Tenure<A>>>,
    health: Health,
    wishes: mpsc::Sender<Wish>,
    turn: Arc<Semaphore>,
    stop: CancellationToken,
    #[cfg(feature = "fault-injection")]
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

impl<A: Actor> fmt::Debug for ActorHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorHandle")
            .field("name", &self.inner.health.name())
            .finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    pub(super) fn new(spawn: Spawn, build: Build<A>, wishes: mpsc::Sender<Wish>) -> Self {
        let health = Health::new(&spawn.name);
        let first = Tenure::new(&health, &spawn);
        Self {
            inner: Arc::new(Inner {
                tenure: watch::Sender::new(Arc::new(first)),
                health,
                spawn,
                build,
                wishes,
                turn: Arc::new(Semaphore::new(1)),
                stop: CancellationToken::new(),
                #[cfg(feature = "fault-injection")]
                faults: super::fault::Faults::default(),
                seconds: Handles::default(),
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

    /// What each class of its operations has to do.
    #[must_use]
    pub fn load(&self) -> Vec<Load> {
        self.tenure().gates.load()
    }

    /// What one class of its operations has to do; none of a class that it has not.
    #[must_use]
    pub fn load_of(&self, class: Class) -> Option<Load> {
        self.load().into_iter().find(|load| load.class == class)
    }

    /// How many requests of a class are in flight.
    #[must_use]
    pub fn in_flight(&self, class: Class) -> usize {
        self.load_of(class).map_or(0, |load| load.in_flight)
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
        let tenure = self.tenure();
        match self.pass(&tenure, M::CLASS, deadline).await {
            Ok(pass) => match self.send(&tenure, message, deadline, Some(pass)).await {
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
        self.fits(&self.tenure(), class)
            .map_err(|refused| self.shed(class, refused))
    }

    async fn pass<E>(
        &self,
        tenure: &Tenure<A>,
        class: Class,
        deadline: Instant,
    ) -> Result<Pass, AskError<E>> {
        // Before the wait, so that nobody waits for what is refused anyway.
        self.fits(tenure, class)?;
        let pass = tenure.gates.pass(class, deadline).await;
        let pass = pass.map_err(|refused| self.refusal(refused))?;
        // It may have been paused meanwhile, or hang.
        self.stands(class)?;
        Ok(pass)
    }

    fn fits<E>(&self, tenure: &Tenure<A>, class: Class) -> Result<(), AskError<E>> {
        self.stands(class)?;
        tenure.gates.check(class).map_err(|refused| self.refusal(refused))
    }

    /// Whether the actor takes work of a class.
    fn stands<E>(&self, class: Class) -> Result<(), AskError<E>> {
        match self.inner.health.standing() {
            // To end a call is no work that a pause keeps away.
            (State::Running, true) if class != Class::Hangup => Err(AskError::Paused),
            (State::Running, _) => Ok(()),
            (
                State::Starting
                | State::BackingOff
                | State::Restarting
                | State::Unresponsive
                | State::Failed
                | State::Stopped,
                _,
            ) => Err(self.absence()),
        }
    }

    fn refusal<E>(&self, refused: Refused) -> AskError<E> {
        match refused {
            Refused::Saturated { retry_after } => AskError::Saturated { retry_after },
            Refused::CircuitOpen { retry_after } => AskError::CircuitOpen { retry_after },
            Refused::Closed => self.absence(),
        }
    }

    /// Counts a refusal.
    fn shed<E>(&self, class: Class, refused: AskError<E>) -> AskError<E> {
        metric::shed(self.name().to_owned(), class.as_str(), reason(&refused)).increment(1);
        refused
    }

    /// As [`ask`](Self::ask), past the gates and a pause: for control, which must not queue behind the work it controls.
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
        self.send(&self.tenure(), message, deadline, None).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that sends, with permit and deadline"
    )]
    async fn send<M>(&self, tenure: &Tenure<A>, message: M, deadline: Instant, pass: Option<Pass>) -> Reply<M>
    where
        M: Request,
        A: Handler<Ask<M>>,
    {
        let Some(address) = tenure.address() else {
            return Err(self.absence());
        };
        let started = Instant::now();
        let (ask, caller) = Ask::new(
            message,
            deadline,
            pass,
            self.inner.health.clone(),
            tenure.retired.clone(),
        );
        let answer = async {
            tokio::select! {
                biased;
                answer = address.send(ask) => answer.ok(),
                // It may hang for ever, and whoever waits has better things to do.
                () = tenure.left_behind.cancelled() => None,
            }
        };
        let reply = match timeout_at(deadline, answer).await {
            Ok(Some(reply)) => reply,
            // actix says Closed both when the actor is gone and when the work was lost half-way.
            Ok(None) if caller.abandon() => Err(AskError::Interrupted),
            Ok(None) => Err(self.absence()),
            Err(_) => Err(AskError::DeadlineExceeded {
                begun: caller.abandon(),
            }),
        };
        let late = match &reply {
            Err(AskError::DeadlineExceeded { begun: false }) => Some("false"),
            reply => (judge(reply) == Verdict::Overdue).then_some("true"),
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

    fn absence<E>(&self) -> AskError<E> {
        match self.inner.health.standing().0 {
            State::Failed | State::Unresponsive | State::Stopped => AskError::Failed,
            State::Starting | State::Running | State::BackingOff | State::Restarting => {
                AskError::Restarting {
                    retry_after: RETRY_AFTER,
                }
            }
        }
    }

    pub(super) fn tenure(&self) -> Arc<Tenure<A>> {
        Arc::clone(&self.inner.tenure.borrow())
    }

    /// Puts a new tenure in the place of the present one.
    pub(super) fn begin_tenure(&self) {
        let next = Tenure::new(&self.inner.health, &self.inner.spawn);
        self.inner.tenure.send_replace(Arc::new(next));
    }

    /// Asks the overseer for a restart; whoever does not get its turn is one too many.
    pub(super) fn wish(&self) -> Option<oneshot::Receiver<Restarted>> {
        let turn = Arc::clone(&self.inner.turn).try_acquire_owned().ok()?;
        let (done, restarted) = oneshot::channel();
        self.inner.wishes.try_send(Wish { turn, done }).ok()?;
        Some(restarted)
    }

    pub(super) fn spawn(&self) -> &Spawn {
        &self.inner.spawn
    }

    /// Makes the actor for its next life.
    pub(super) fn build(&self, health: &Health) -> A {
        (self.inner.build)(health)
    }

    /// Lets work in flight end, at most until `deadline`, and nothing more in; then stops the actor for good.
    ///
    /// # Cancel safety
    /// Dropping the future before its end leaves the actor running.
    pub async fn stop(&self, deadline: Instant) {
        // Held to the end, so that nothing more is let in.
        let tenure = self.tenure();
        let drained = tenure.gates.drained(deadline).await;
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

    #[cfg(feature = "fault-injection")]
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
