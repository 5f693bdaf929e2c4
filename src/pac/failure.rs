//! Tells apart how a request to PAC went wrong, above all whether it can have arrived.

use std::error::Error;

use tonic::{Code, ConnectError, Status, TimeoutExpired};

use super::error::{PacError, sanitize};
use crate::actor::AskError;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Surely not sent: there was no connection to send it on.
    Unsent(String),
    /// Sent, perhaps; then the connection failed.
    Lost(String),
    /// No answer in time.
    Late,
    /// The answer is over the limit, in bytes.
    TooLarge(usize),
    /// PAC's own status, or what stands for one that HTTP gave in its place.
    Status(Code, String),
}

impl Failure {
    /// Sorts a status by where it came from: only tonic's own errors have a source.
    pub(super) fn of(status: &Status, limit: usize) -> Self {
        let Some(source) = status.source() else {
            // tonic has no type for this one; the text names our own limit.
            let too_large =
                format!("message length too large: found {{}} bytes, the limit is: {limit} bytes");
            let too_large = too_large.split("{}").all(|part| status.message().contains(part));
            return if status.code() == Code::OutOfRange && too_large {
                Self::TooLarge(limit)
            } else {
                Self::Status(status.code(), sanitize(status.message()))
            };
        };
        let chain = || std::iter::successors(Some(source), |&error| error.source());
        let deepest = chain().last().map(ToString::to_string).unwrap_or_default();
        if chain().any(|error| error.is::<ConnectError>()) {
            Self::Unsent(deepest)
        } else if chain().any(|error| error.is::<TimeoutExpired>()) {
            Self::Late
        } else {
            Self::Lost(deepest)
        }
    }

    /// Whether the same request may fare better in a moment: PAC did not answer it, or said that it could not right then.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Lost(_) => true,
            Self::Status(code, _) => *code == Code::Unavailable,
            Self::Late | Self::TooLarge(_) => false,
        }
    }

    /// A read's error: whatever went wrong, nothing happened.
    pub(super) fn into_read_error(self) -> AskError<PacError> {
        AskError::Reply(match self {
            // PAC cancels a request by itself only at the deadline it was given.
            Self::Late | Self::Status(Code::DeadlineExceeded | Code::Cancelled, _) => {
                return AskError::DeadlineExceeded { begun: true };
            }
            Self::Unsent(text) | Self::Lost(text) | Self::Status(Code::Unavailable, text) => {
                PacError::Unavailable(text)
            }
            Self::TooLarge(limit) => PacError::TooLarge { limit },
            Self::Status(code, message) => PacError::Status {
                code: name(code),
                message,
            },
        })
    }

    /// A command's error: only what surely did nothing may say so.
    pub(super) fn into_command_error(self) -> PacError {
        match self {
            Self::Unsent(text) => PacError::Unavailable(text),
            Self::Lost(text) => PacError::OutcomeUnknown(text),
            Self::Late => PacError::NoAnswer,
            Self::TooLarge(limit) => {
                PacError::OutcomeUnknown(format!("its reply is over the limit of {limit} bytes"))
            }
            Self::Status(code, message) if refuses(code) => PacError::Status {
                code: name(code),
                message,
            },
            Self::Status(code, message) => PacError::OutcomeUnknown(format!("{}: {message}", name(code))),
        }
    }

    /// What `/status` may say of it; `None` when PAC did answer.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Unsent(_) => Some("no connection"),
            Self::Lost(_) => Some("connection lost"),
            Self::Late => Some("no answer in time"),
            Self::Status(Code::Unavailable, _) => Some("unavailable"),
            Self::Status(Code::Unauthenticated | Code::PermissionDenied, _) => Some("access refused"),
            Self::TooLarge(_) | Self::Status(..) => None,
        }
    }
}

/// Whether a status says that the command was not even tried. PAC answers `INTERNAL` to whatever breaks half-way.
fn refuses(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
