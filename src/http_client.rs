//! What our HTTP clients have in common.

use awc::error::{ConnectError, SendRequestError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// What a segment of a path holds as it is: RFC 3986's unreserved characters.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether it is certain that nothing was sent. awc says `Connect(Disconnected)` of a connection that was closed instead of an
/// answer, too: only what can go wrong before there is a connection means that.
pub(crate) fn never_connected(error: &SendRequestError) -> bool {
    matches!(
        error,
        SendRequestError::Url(_)
            | SendRequestError::Connect(
                ConnectError::Resolver(_)
                    | ConnectError::NoRecords
                    | ConnectError::Unresolved
                    | ConnectError::Timeout
                    | ConnectError::Io(_)
            )
    )
}
