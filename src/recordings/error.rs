//! Why a recording cannot be had.

use crate::actor::{Classify, FailureClass};

/// Why a recording cannot be opened or read. The words hold no path: a recording's name holds phone numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// There is no such file, or something else than a file is there.
    #[error("there is no such file")]
    Missing,
    /// The path leads out of the directory.
    #[error("the path leads out of the directory")]
    Outside,
    /// The gateway's user may not read the file.
    #[error("the file may not be read")]
    Denied,
    /// The directory, or what it is on, does not do its part; trying again may help.
    #[error("the directory cannot be used: {0}")]
    Unavailable(String),
    /// The file became shorter while it was read.
    #[error("the file ended early")]
    Truncated,
    /// Nobody took what was read for too long.
    #[error("what was read was not taken in time")]
    NotTaken,
}

impl Classify for RecordingError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::Missing | Self::Outside | Self::Denied | Self::Truncated | Self::NotTaken => {
                FailureClass::Answered
            }
            Self::Unavailable(_) => FailureClass::Failed,
        }
    }
}
