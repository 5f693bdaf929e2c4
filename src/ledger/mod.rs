//! The ledger: calls as they were sent and what became of them, API keys and their audit, and which gateway this is.

mod actor;
pub mod key;
mod messages;
mod search;
mod store;

pub use actor::{LedgerActor, LedgerHandle, LedgerSettings, flush, spawn};
pub use messages::{GetCall, GetInstance, ListOpenCalls};
pub use search::{SearchCalls, StateFilter};
pub use store::{ledger_keys, ledger_schema, migrate_ledger};
