//! What a caller is told who does not get a recording.

use std::time::Duration;

use super::{AWAY, Code, Failure, circuit_open, down, paused, restarting, saturated, too_late};
use crate::actor::AskError;
use crate::recordings::{LinkError, RecordingError};

impl Failure {
    /// No recording has that id, or it is not for this caller: nobody can tell which.
    #[must_use]
    pub fn recording_not_found() -> Self {
        Self::new(Code::NotFound, "there is no such recording")
    }

    /// 3CX has the recording, and its directory has not.
    #[must_use]
    pub fn recording_file_missing() -> Self {
        Self::new(Code::RecordingFileMissing, "the recording's file is not there")
    }

    /// 3CX moved the recording away.
    #[must_use]
    pub fn recording_archived() -> Self {
        Self::new(
            Code::RecordingArchived,
            "the recording was moved to the archive of 3CX",
        )
    }

    /// The ledger was not read yet, which holds the key that signs links.
    #[must_use]
    pub fn link_key_unavailable() -> Self {
        Self::new(Code::KeysUnavailable, "the key that signs links was not read yet").retry_in(AWAY)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::new(Code::LinkInvalid, error.to_string()),
            LinkError::Expired => Self::new(Code::LinkExpired, error.to_string()),
        }
    }
}

impl From<AskError<RecordingError>> for Failure {
    fn from(error: AskError<RecordingError>) -> Self {
        match error {
            AskError::Saturated { retry_after } => saturated(retry_after),
            AskError::CircuitOpen { retry_after } => circuit_open(retry_after),
            AskError::Paused => paused(),
            AskError::Restarting { retry_after } => restarting(retry_after),
            AskError::Failed => down(),
            AskError::DeadlineExceeded { begun: _ } => too_late("the recording was not opened in time"),
            AskError::Interrupted => {
                let message = "opening the recording failed half-way";
                Self::new(Code::Interrupted, message).retry_in(Duration::from_secs(1))
            }
            AskError::Reply(error) => error.into(),
        }
    }
}

impl From<RecordingError> for Failure {
    fn from(error: RecordingError) -> Self {
        match error {
            // Which of the two is nobody's business but the operator's.
            RecordingError::Missing | RecordingError::Outside => Self::recording_file_missing(),
            RecordingError::Denied => {
                Self::new(Code::RecordingUnreadable, "the recording's file may not be read")
            }
            RecordingError::Unavailable(_) | RecordingError::Truncated | RecordingError::NotTaken => {
                let message = "the recordings directory cannot be read";
                Self::new(Code::RecordingsUnavailable, message).retry_in(AWAY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Status, code, retryable, Retry-After.
    type Told = (u16, &'static str, bool, Option<u64>);

    #[test]
    fn a_recording_that_is_not_had_says_whether_to_try_again_and_never_where_it_is() {
        let words = || "/srv/rec/110".to_owned();
        let table: [(AskError<RecordingError>, Told); 11] = [
            (
                AskError::Saturated { retry_after: SECOND },
                (503, "saturated", true, Some(1)),
            ),
            (
                AskError::Restarting { retry_after: SECOND },
                (503, "restarting", true, Some(1)),
            ),
            (AskError::Failed, (503, "failed", true, Some(30))),
            (
                AskError::DeadlineExceeded { begun: false },
                (504, "deadline_exceeded", true, None),
            ),
            (
                AskError::DeadlineExceeded { begun: true },
                (504, "deadline_exceeded", true, None),
            ),
            (AskError::Interrupted, (503, "interrupted", true, Some(1))),
            (
                AskError::Reply(RecordingError::Missing),
                (404, "recording_file_missing", false, None),
            ),
            (
                AskError::Reply(RecordingError::Outside),
                (404, "recording_file_missing", false, None),
            ),
            (
                AskError::Reply(RecordingError::Denied),
                (500, "recording_unreadable", false, None),
            ),
            (
                AskError::Reply(RecordingError::Unavailable(words())),
                (503, "recordings_unavailable", true, Some(5)),
            ),
            (
                AskError::Reply(RecordingError::Truncated),
                (503, "recordings_unavailable", true, Some(5)),
            ),
        ];
        for (error, expected) in table {
            let shown = format!("{error:?}");
            let failure = Failure::from(error);
            let told = (
                failure.code.status().as_u16(),
                failure.code.as_str(),
                failure.code.retryable(),
                failure.retry_after_s(),
            );
            assert_eq!(told, expected, "{shown}");
            assert!(!failure.message.contains("/srv"), "{shown}");
        }
    }
}
