//! A message with what it needs to be answered: a deadline, a permit, and the truth about whether it was begun.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use actix::ResponseFuture;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::admission::Admitted;
use super::bulkhead::Permit;
use super::class::{Class, Classify, FailureClass};
use super::health::Health;

/// What an actor can be asked: a typed message with its reply and the errors of its own domain.
pub trait Request: Send + 'static {
    /// What a success carries.
    type Reply: Send + 'static;
    /// What the actor itself may answer instead.
    type Error: Classify + Send + 'static;
    /// The operation's name in metrics and logs.
    const OPERATION: &'static str;
    /// What it shares permits and a circuit breaker with.
    const CLASS: Class;
}

/// Makes messages requests, a line each: its class, its operation's name, its reply and its error.
macro_rules! requests {
    ($($message:ident: $class:ident $operation:literal -> $reply:ty, $error:ty;)+) => {
        $(impl $crate::actor::Request for $message {
            type Reply = $reply;
            type Error = $error;
            const OPERATION: &'static str = $operation;
            const CLASS: $crate::actor::Class = $crate::actor::Class::$class;
        })+
    };
}
pub(crate) use requests;

/// The outcome of [`ActorHandle::ask`](super::ActorHandle::ask) for a message `M`.
pub type Reply<M> = Result<<M as Request>::Reply, AskError<<M as Request>::Error>>;

/// Why an actor did not answer with a success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError<E> {
    /// Everything is in flight and nothing got free in time; nothing was begun.
    #[error("saturated")]
    Saturated {
        /// When a new try is worthwhile.
        retry_after: Duration,
    },
    /// The integration has failed again and again and is left alone for a while; nothing was begun.
    #[error("circuit open")]
    CircuitOpen {
        /// When a new try is worthwhile.
        retry_after: Duration,
    },
    /// An operator paused the integration; nothing was begun.
    #[error("paused by an operator")]
    Paused,
    /// The actor is starting, or is being rebuilt after a failure; nothing was begun.
    #[error("restarting")]
    Restarting {
        /// When a new try is worthwhile.
        retry_after: Duration,
    },
    /// The actor is down until an operator restarts it, or its thread hangs, or the gateway stops; nothing was begun.
    #[error("failed and waiting for a restart")]
    Failed,
    /// The deadline passed.
    #[error("deadline exceeded")]
    DeadlineExceeded {
        /// Whether the actor had begun: if not, nothing reached the integration.
        begun: bool,
    },
    /// The work had begun and was lost to a panic or to a restart: what it did outside is not known.
    #[error("interrupted")]
    Interrupted,
    /// The actor's own answer.
    #[error(transparent)]
    Reply(E),
}

/// What a reply says of the integration.
pub(super) fn classify<T, E: Classify>(reply: &Result<T, AskError<E>>) -> FailureClass {
    match reply {
        Ok(_) => FailureClass::Answered,
        Err(AskError::Reply(error)) => error.failure_class(),
        Err(AskError::DeadlineExceeded { begun: true }) => FailureClass::TimedOut,
        // A fault or a decision of ours.
        Err(_) => FailureClass::NotAsked,
    }
}

/// When to try again after a refusal that passes by itself.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

/// Decides, once, who gets a message: the actor that begins it or the caller that gives it up.
#[derive(Debug, Clone, Default)]
struct Claim(Arc<AtomicU8>);

impl Claim {
    fn begin(&self) -> bool {
        self.settle(BEGUN)
    }

    fn settle(&self, to: u8) -> bool {
        self.0
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The caller's side of a message. Dropping it gives the message up, so a caller that goes away in any manner
/// leaves nothing behind that has not begun.
#[derive(Debug)]
pub(super) struct Caller(Claim);

impl Caller {
    /// Gives the message up; says whether the actor had begun it before.
    pub(super) fn abandon(&self) -> bool {
        !self.0.settle(ABANDONED)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The envelope that [`ActorHandle::ask`](super::ActorHandle::ask) sends: actors implement `Handler<Ask<M>>`.
#[derive(derive_more::Debug)]
#[debug("Ask({})", M::OPERATION)]
pub struct Ask<M: Request> {
    message: M,
    deadline: Instant,
    /// None for control, which is not subject to admission control.
    admitted: Option<Admitted>,
    claim: Claim,
    begun: bool,
    health: Health,
    /// Ends the work with the incarnation that it was begun in.
    retired: CancellationToken,
    /// The caller's: what the work logs belongs to the request that it is done for.
    span: Span,
}

impl<M: Request> actix::Message for Ask<M> {
    type Result = Reply<M>;
}

impl<M: Request> Ask<M> {
    pub(super) fn new(
        message: M,
        deadline: Instant,
        admitted: Option<Admitted>,
        health: Health,
        retired: CancellationToken,
    ) -> (Self, Caller) {
        let claim = Claim::default();
        let ask = Self {
            message,
            deadline,
            admitted,
            claim: claim.clone(),
            begun: false,
            health,
            retired,
            span: Span::current(),
        };
        (ask, Caller(claim))
    }

    /// The message, to prepare the work from.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// Begins the work for good, for a handler that changes its actor's state before it runs.
    ///
    /// # Errors
    /// When the caller has given up: then nothing must happen, and this is the handler's result.
    pub fn begin(mut self) -> Result<Self, ResponseFuture<Reply<M>>> {
        if self.claimed() {
            Ok(self)
        } else {
            let reply = self.not_begun();
            Err(Box::pin(async { Err(reply) }))
        }
    }

    fn claimed(&mut self) -> bool {
        let wanted = || Instant::now() < self.deadline && !self.retired.is_cancelled() && self.claim.begin();
        self.begun = self.begun || wanted();
        self.begun
    }

    /// The reply to what was not begun: it was late, its caller had gone, or its incarnation was over.
    fn not_begun(&self) -> AskError<M::Error> {
        if self.retired.is_cancelled() {
            AskError::Restarting {
                retry_after: RETRY_AFTER,
            }
        } else {
            AskError::DeadlineExceeded { begun: false }
        }
    }

    /// Does the work off the mailbox, under the deadline: whatever is unfinished then is dropped.
    ///
    /// A panic in the work costs this reply and nothing else. The permit returns when the work ends.
    pub fn run<W, F>(self, work: W) -> ResponseFuture<Reply<M>>
    where
        W: FnOnce(M, Instant) -> F + 'static,
        F: Future<Output = Result<M::Reply, M::Error>> + 'static,
    {
        self.run_with_permit(move |message, deadline, permit| async move {
            let _permit = permit;
            work(message, deadline).await
        })
    }

    /// As [`run`](Self::run), for work that leaves more work behind its reply, such as the pages after the first: it is
    /// handed the permit (none for a [control](super::ActorHandle::control) message) and passes it on to what it leaves
    /// behind. Work that fails, or is dropped at the deadline, gives the permit back.
    pub fn run_with_permit<W, F>(self, work: W) -> ResponseFuture<Reply<M>>
    where
        W: FnOnce(M, Instant, Option<Permit>) -> F + 'static,
        F: Future<Output = Result<M::Reply, M::Error>> + 'static,
    {
        self.work(move |message, deadline, permit| async move {
            match timeout_at(deadline, work(message, deadline, permit)).await {
                Ok(reply) => reply.map_err(AskError::Reply),
                Err(_) => Err(AskError::DeadlineExceeded { begun: true }),
            }
        })
    }

    /// As [`run`](Self::run), for work that must record how it ended: it is handed the deadline, keeps it itself,
    /// and is dropped half-way by nothing but a restart.
    pub fn run_to_end<W, F>(self, work: W) -> ResponseFuture<Reply<M>>
    where
        W: FnOnce(M, Instant) -> F + 'static,
        F: Future<Output = Reply<M>> + 'static,
    {
        self.work(move |message, deadline, permit| async move {
            let _permit = permit;
            work(message, deadline).await
        })
    }

    /// Claims the message and does the work; a panic in it is caught and counted. How it ends is told to the circuit
    /// breaker here, whether or not anybody still waits for it.
    fn work<W, F>(mut self, work: W) -> ResponseFuture<Reply<M>>
    where
        W: FnOnce(M, Instant, Option<Permit>) -> F + 'static,
        F: Future<Output = Reply<M>> + 'static,
    {
        Box::pin(async move {
            if !self.claimed() {
                return Err(self.not_begun());
            }
            let Self {
                message,
                deadline,
                admitted,
                health,
                retired,
                span,
                ..
            } = self;
            let (permit, attempt) = admitted
                .map(|Admitted { permit, attempt }| (permit, attempt))
                .unzip();
            let work = async move { work(message, deadline, permit).await }.instrument(span);
            let reply = tokio::select! {
                // A thread that hung and comes back does nothing more of which its caller was told that it is over.
                biased;
                () = retired.cancelled() => Err(AskError::Interrupted),
                ended = AssertUnwindSafe(work).catch_unwind() => ended.unwrap_or_else(|panic| {
                    health.count_panic(M::OPERATION, &panic_message(panic.as_ref()));
                    Err(AskError::Interrupted)
                }),
            };
            let outcome = classify(&reply);
            if let Err(error) = &reply
                && outcome.is_failure()
            {
                health.record_error(M::OPERATION, error);
            }
            if let Some(attempt) = attempt {
                attempt.settle(outcome);
            }
            reply
        })
    }
}

/// The text a panic was raised with, as far as it has one.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
