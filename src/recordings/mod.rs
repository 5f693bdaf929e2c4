//! The recordings of a 3CX in a directory of this machine: opened beneath it and nowhere else, read without holding
//! anybody up.

mod actor;
mod directory;
mod error;
mod id;
mod link;
mod messages;
mod reader;
mod stream;
#[cfg(test)]
mod tests;

pub use actor::{RecordingActor, RecordingHandle, spawn};
pub use error::RecordingError;
pub use id::{InvalidRecordingId, RecordingId};
pub use link::{LinkError, LinkSignature};
pub use messages::{OpenRecording, OpenedRecording};
pub use reader::Reader;
