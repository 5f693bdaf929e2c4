//! CDRs: collected from each 3CX, stored, and served.

pub mod collector;
mod error;
mod messages;
mod record;
mod store;
mod value;

pub use error::CdrError;
pub use messages::{
    Apply, CdrPages, CollectorPosition, GetLastCallId, GetPosition, ListDigests, SearchAfterCallId,
};
pub use record::{Cdr, Column, InvalidRow, Recording, Sourced, digest};
pub use store::{Batch, CdrRange, CdrStore, Changes, LegacyRow, Position};
pub use value::Kind;
