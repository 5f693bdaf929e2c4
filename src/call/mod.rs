//! Calls: what they are, and what still has to reach the ledger of each. Without IO.

mod journal;
mod record;

pub use journal::Journal;
pub(crate) use journal::overlay;
#[cfg(test)]
pub(crate) use record::tests;
pub use record::{Call, CallId, CallState, Leg};
