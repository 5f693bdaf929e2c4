//! What a `RecordingActor` can be asked.

use actix_files::NamedFile;

use super::error::RecordingError;
use super::reader::Reader;
use crate::actor::requests;

requests! {
    OpenRecording: Read "open_recording" -> OpenedRecording, RecordingError;
}

/// Request: open a recording.
#[derive(Debug, Clone)]
pub struct OpenRecording {
    /// Its file as 3CX has it, relative to its recordings.
    pub path: String,
}

/// An open recording, with the permit of the request that opened it.
#[derive(Debug)]
pub struct OpenedRecording {
    /// The file's name, and what it was when it was opened: to answer conditions and ranges by, not to read from.
    pub file: NamedFile,
    /// Reads it. The permit returns when this and all that came of it is dropped.
    pub reader: Reader,
}
