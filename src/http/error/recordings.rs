//! Recordings, and the links to them.

use super::ask::OperationError;
use super::{AWAY, ApiError, ErrorCode};
use crate::recordings::{LinkError, RecordingError};

impl ApiError {
    /// 3CX has the recording, and its directory has not.
    pub(in crate::http) fn recording_file_missing() -> Self {
        ErrorCode::RecordingFileMissing.error("the recording's file is not there")
    }

    /// 3CX moved the recording away.
    pub(in crate::http) fn recording_archived() -> Self {
        ErrorCode::RecordingArchived.error("the recording was moved to the archive of 3CX")
    }

    /// The ledger was not read yet, which holds the key that signs links.
    pub(in crate::http) fn link_key_unavailable() -> Self {
        ErrorCode::KeysUnavailable
            .error("the key that signs links was not read yet")
            .retry_in(AWAY)
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        let code = match error {
            LinkError::Invalid => ErrorCode::LinkInvalid,
            LinkError::Expired => ErrorCode::LinkExpired,
        };
        code.error(error.to_string())
    }
}

impl OperationError for RecordingError {
    const ASKED: &'static str = "the recordings directory";

    fn told(self) -> ApiError {
        match self {
            // Which of the two is nobody's business but the operator's.
            Self::Missing | Self::Outside => ApiError::recording_file_missing(),
            Self::Denied => ErrorCode::RecordingUnreadable.error("the recording's file may not be read"),
            Self::Unavailable(_) | Self::Truncated | Self::NotTaken => {
                let message = "the recordings directory cannot be read";
                ErrorCode::RecordingsUnavailable.error(message).retry_in(AWAY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Told, told};
    use super::*;

    #[test]
    fn a_recording_that_is_not_had_says_whether_to_try_again_and_never_where_it_is() {
        let missing = (404, "recording_file_missing", false, None, None);
        let unavailable = (503, "recordings_unavailable", true, None, Some(5));
        let table: [(RecordingError, Told); 5] = [
            (RecordingError::Missing, missing),
            (RecordingError::Outside, missing),
            (
                RecordingError::Denied,
                (500, "recording_unreadable", false, None, None),
            ),
            (
                RecordingError::Unavailable("/srv/rec/110".to_owned()),
                unavailable,
            ),
            (RecordingError::Truncated, unavailable),
        ];
        for (error, expected) in table {
            let answer = error.clone().told();
            assert_eq!(told(&answer), expected, "{error:?}");
            assert!(!answer.to_string().contains("/srv"), "{error:?}");
        }
    }
}
