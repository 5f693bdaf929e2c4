//! Supervised actors: the only place that touches actix's internals.
//!
//! actix 0.13 restarts an actor only when it stops by itself: a panic ends it for ever, its mailbox bounds
//! senders rather than work, and an address once closed stays closed. So every external resource of the gateway
//! is an actor started by [`spawn`], and the only way to one is [`ActorHandle::ask`]:
//!
//! ```text
//! ask = permit (short bounded wait) → address (swappable) → mailbox → work, until the deadline
//! ```
//!
//! * The **permit** bounds the work itself: it travels with the message and returns when the work ends, not when
//!   the caller gives up. A circuit breaker belongs in front of it, in [`ActorHandle::ask`].
//! * The **supervisor** catches panics, backs off, and builds a new actor from its settings behind the same
//!   handle, within a restart budget; past the budget the actor is [`State::Failed`] and the others go on.
//! * [`Health`] is published where `/status` reads it without asking the actor, which may be what hangs.

mod ask;
mod backoff;
mod bulkhead;
mod handle;
mod health;
mod policy;
mod supervisor;
#[cfg(test)]
mod tests;

pub use ask::{Ask, AskError, Reply, Request};
pub use backoff::{Backoff, InvalidBackoff};
pub use bulkhead::{Bulkhead, Limits, Permit};
pub use handle::ActorHandle;
pub use health::{Health, HealthBoard, HealthReport, Load, State};
pub use policy::{Placement, RestartPolicy, Spawn};
pub use supervisor::{notify, spawn, spawn_detached};
