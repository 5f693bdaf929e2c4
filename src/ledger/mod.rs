//! The ledger: calls as they were sent and what became of them, and which gateway this is.

mod call;
mod error;
mod messages;

pub use call::{Call, CallId, CallState, Leg};
pub use error::LedgerError;
pub use messages::{GetCall, ListOpenCalls};
