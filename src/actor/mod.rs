//! Supervised actors: the only place that touches actix's internals.
//!
//! actix 0.13 restarts an actor only when it stops by itself: a panic ends it for ever, its mailbox bounds
//! senders rather than work, and an address once closed stays closed. So every external resource of the gateway
//! is an actor started by [`spawn`], and the only way to one is [`ActorHandle::ask`]:
//!
//! ```text
//! ask = breaker → permit (short bounded wait) → address (swappable) → mailbox → work, until the deadline
//! ```
//!
//! * Each [`Class`] of an actor's operations has **admission control** of its own: what stalls one stalls no other. The
//!   **circuit breaker** refuses at once what has failed again and again; what counts is the error's own [`FailureClass`]. The
//!   **permit** bounds the work itself: it travels with the message and returns when the work ends, not when the caller gives up.
//!   Of those that wait for one, the client that has fewest comes first.
//! * The **supervisor** catches panics, backs off, and builds a new instance of the actor from its settings behind the same
//!   handle, within a restart budget; past the budget the actor is [`State::Failed`] and the others go on. It lives on the
//!   actor's thread.
//! * The **watchdog** lives on the thread that spawned the actor: it sees when the actor's thread hangs, and starts a new
//!   incarnation of it on another one when an operator asks for it ([`Operate`]). A blocked thread cannot be ended: it is left
//!   behind, and counted.
//! * [`Health`] is published where `/status` reads it without asking the actor, which may be what hangs.

mod admission;
mod ask;
mod backoff;
mod breaker;
mod bulkhead;
mod class;
mod client;
#[cfg(feature = "test-support")]
mod fault;
mod handle;
mod health;
mod incarnation;
mod operate;
mod policy;
mod queue;
mod refused;
mod supervisor;
#[cfg(feature = "test-support")]
mod testing;
#[cfg(test)]
mod tests;
mod watchdog;

pub use admission::Load;
pub(crate) use ask::requests;
pub use ask::{Ask, AskError, Reply, Request};
pub use backoff::Backoff;
pub use breaker::BreakerState;
pub use bulkhead::{Bulkhead, Limits, Permit};
pub use class::{Class, Classify, FailureClass};
pub use client::ClientId;
#[cfg(feature = "test-support")]
pub use fault::InjectedFault;
pub use handle::ActorHandle;
pub use health::{Health, HealthReport, Restart, RestartReason, State};
pub use incarnation::Restarted;
pub use operate::{ActorRegistry, NotRestarted, Operate};
pub use policy::{Placement, RestartPolicy, Spawn};
pub use supervisor::{notify, spawn_detached};
pub use watchdog::spawn;
