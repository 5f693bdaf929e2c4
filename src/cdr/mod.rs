//! CDRs: collected from each 3CX, stored, and served.

mod actor;
pub mod collector;
mod messages;
mod pages;
mod record;
mod store;
mod value;

pub use actor::{CdrHandle, spawn_cdr};
pub use messages::{
    Apply, CdrPages, GetLastCallId, GetPosition, GetRecording, ListDigests, SearchAfterCallId,
};
pub use record::{Cdr, Column, InvalidRow, Recording, Sourced, digest};
pub use store::{Batch, CdrRange, CdrStore, Changes, LegacyRow, Position, RecordingFile, open_store};
pub use value::Kind;
