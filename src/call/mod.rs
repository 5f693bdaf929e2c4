//! Calls: what they are and what became of them, which of them live, and what still has to reach the ledger. Without IO.

mod disposition;
mod id;
mod journal;
mod record;
mod registry;
mod resource;
mod words;

pub use id::CallId;
pub use journal::Journal;
pub(crate) use journal::overlay;
pub(crate) use record::now;
#[cfg(test)]
pub(crate) use record::tests;
pub use record::{Call, Leg, RequestedBy};
pub use registry::{Full, LiveCalls, Registry};
pub(crate) use registry::{LiveCount, MARGIN};
pub use resource::CallResource;
pub use words::{CallState, Direction, Disposition, LegRole, LegState, Mode, Origin};
