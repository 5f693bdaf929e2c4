//! The one table of error codes: what programs decide by, and what people are told of each.

use actix_web::http::StatusCode;

/// Writes the enum, the list of all and the lookups from one table.
macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $retryable:ident $advice:literal)+) => {
        /// What went wrong, for programs. A code has one status and one answer to "may I send it again".
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $advice] $variant,)+
        }

        impl ErrorCode {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, as it is sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// Whether the same request may be sent again: it cannot do twice what should be done once, and may
            /// succeed then.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$variant => codes!(@ $retryable)),+ }
            }

            /// What it means, and what to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),+ }
            }
        }
    };
    (@ retryable) => { true };
    (@ final) => { false };
}

codes! {
    InvalidRequest "invalid_request" BAD_REQUEST final
        "The request itself is wrong: the message names the field. Send it again only after correcting it."
    Unauthenticated "unauthenticated" UNAUTHORIZED final
        "The route needs a key, and none came, or one that is not known or was revoked."
    ScopeMissing "scope_missing" FORBIDDEN final
        "The key is good, but lacks the scope that the route needs: the message names it."
    KeyLimited "key_limited" FORBIDDEN final
        "The key is limited to some PBXs, and this is about all of them: it takes a key without a limit."
    NotFound "not_found" NOT_FOUND final
        "There is no such route, or no such thing that this caller may see."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED final
        "The path is right and the method is not: Allow names those there are."
    KeyNameTaken "key_name_taken" CONFLICT final
        "A live key has that name: revoke it first, or take another name."
    TooManyKeys "too_many_keys" CONFLICT final
        "There are as many live keys as there may be: revoke those that are not used."
    RestartUnderWay "restart_under_way" CONFLICT retryable
        "The integration is being restarted already, or the gateway itself stops."
    RequestTimeout "request_timeout" REQUEST_TIMEOUT retryable
        "The body did not arrive in time, and nothing was done."
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE final
        "The body is larger than any that makes sense for the route."
    RateLimited "rate_limited" TOO_MANY_REQUESTS retryable
        "This caller asks more often than it may, or has too many bodies on their way. Wait as long as Retry-After says; RateLimit-Limit says how many requests a second are allowed."
    KeysUnavailable "keys_unavailable" SERVICE_UNAVAILABLE retryable
        "The keys could not be read yet since the gateway started: its ledger does not answer."
    NotConfigured "not_configured" SERVICE_UNAVAILABLE final
        "No integration of the kind that the route needs is configured: ask whoever runs the gateway."
    Saturated "saturated" SERVICE_UNAVAILABLE retryable
        "Too many requests are in flight already, and nothing was begun. Wait as long as Retry-After says."
    Restarting "restarting" SERVICE_UNAVAILABLE retryable
        "The integration is starting, or starting again after a failure, and nothing was begun. It takes seconds."
    CircuitOpen "circuit_open" SERVICE_UNAVAILABLE retryable
        "The integration has failed again and again, is left alone for a while, and nothing was begun. Retry-After says when it is tried again."
    Paused "paused" SERVICE_UNAVAILABLE retryable
        "An operator paused the integration, and nothing was begun."
    Failed "failed" SERVICE_UNAVAILABLE retryable
        "The integration failed too often, or hangs, and stays down until an operator restarts it; /status says why."
    Interrupted "interrupted" SERVICE_UNAVAILABLE retryable
        "A read or a hang-up was lost half-way to a failure of ours. It may be repeated at once."
    DeadlineExceeded "deadline_exceeded" GATEWAY_TIMEOUT retryable
        "The deadline passed. It was a read or a hang-up, or nothing was sent: it may be repeated."
    TooManyCalls "too_many_calls" SERVICE_UNAVAILABLE retryable
        "As many calls live on the PBX or its trunk as may at once; no call was placed. One has to end first."
    TrunkRate "trunk_rate" SERVICE_UNAVAILABLE retryable
        "More calls are asked for than the trunk may be given in a second; no call was placed. Wait as long as Retry-After says."
    NotConnected "not_connected" SERVICE_UNAVAILABLE retryable
        "The gateway is not connected to Asterisk at the moment; no call was placed or ended."
    RequestNotSent "request_not_sent" SERVICE_UNAVAILABLE retryable
        "The request did not reach Asterisk; no call was placed or ended."
    CredentialsRefused "credentials_refused" BAD_GATEWAY retryable
        "Asterisk refuses the gateway's user or password; no call was placed or ended. An operator has to correct the settings."
    UnknownTrunk "unknown_trunk" BAD_GATEWAY retryable
        "Asterisk does not know the trunk of the settings; no call was placed. An operator has to correct one of the two."
    Rejected "rejected" BAD_GATEWAY retryable
        "Asterisk refused the call, and none was placed; or it refused to hang up."
    OriginateOutcomeUnknown "originate_outcome_unknown" BAD_GATEWAY final
        "The request left and no answer came: there may be a call. Never repeat it blindly; look at the call first."
    StoreUnavailable "store_unavailable" SERVICE_UNAVAILABLE retryable
        "The gateway's own store does not answer at the moment."
    StoreFailed "store_failed" INTERNAL_SERVER_ERROR final
        "The gateway's own store failed: a fault of ours. The log has the request id."
    StoreDamaged "store_damaged" INTERNAL_SERVER_ERROR final
        "The gateway's own store holds something that makes no sense. The log has the request id."
    LinkInvalid "link_invalid" FORBIDDEN final
        "The link's signature is not genuine, or the key that signed it was rotated: fetch the CDR again for a new link."
    LinkExpired "link_expired" GONE final
        "The link was good and is too old: fetch the CDR again for a new one."
    RecordingFileMissing "recording_file_missing" NOT_FOUND final
        "3CX knows the recording, and its file is not in the recordings directory."
    RecordingArchived "recording_archived" NOT_FOUND final
        "3CX moved the recording to its archive, from which the gateway does not read."
    RecordingUnreadable "recording_unreadable" INTERNAL_SERVER_ERROR final
        "The gateway's user may not read the recording's file. An operator has to correct its permissions."
    RecordingsUnavailable "recordings_unavailable" SERVICE_UNAVAILABLE retryable
        "The recordings directory cannot be read at the moment; /status says why."
    InternalError "internal_error" INTERNAL_SERVER_ERROR final
        "A fault of ours. The log has the request id."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_an_error_s_status() {
        let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
            assert!(code.advice().ends_with('.'), "{code:?}");
        }
    }
}
