//! CDRs: collected from each 3CX, stored, and served.

mod actor;
pub mod collector;
mod cursor;
mod ids;
mod messages;
mod pages;
mod reading;
mod record;
mod store;
mod value;

pub use actor::{CdrHandle, spawn_cdr};
pub use cursor::{HandedOut, Resumed, Since};
pub use messages::{
    Apply, CdrPages, GetLastCallId, GetPosition, GetRecording, ListDigests, RemovePosition, SearchAfterCallId,
};
pub use record::{Cdr, Column, InvalidRow, Recording, SourceRow, Sourced, digest};
pub use store::{
    Batch, CdrRange, CdrStore, Changes, LegacyRow, Position, RecordingFile, open_store, store_schema,
};
pub use value::Kind;
