//! What a caller is told when an actor did not do what it was asked.

mod hangup;
mod recordings;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::code::Code;
use super::legacy_error::Refusal;
use super::{AppState, problem};
use crate::actor::AskError;
use crate::ari::{AriError, OriginateError};
use crate::database::StoreError;
use crate::ledger::key::KeyError;

/// What is known of a call that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was dialled, for certain.
    NotPlaced,
    /// The request left and no answer came: there may be a call.
    Unknown,
}

/// A failure as callers see it. It holds no secret, no number and nothing of our own insides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name for programs; the status and whether to repeat the request come with it.
    pub code: Code,
    /// What became of the call, where the request was for one.
    pub outcome: Option<Outcome>,
    /// When a new try is worthwhile.
    pub retry_after: Option<Duration>,
    /// Words for people.
    pub message: String,
}

/// When to try again where nothing says how long it takes: an integration that is away, or one that an operator has
/// to restart.
const AWAY: Duration = Duration::from_secs(5);
const DOWN: Duration = Duration::from_secs(30);

impl Failure {
    /// A failure without more to say than its code and words.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            outcome: None,
            retry_after: None,
            message: message.into(),
        }
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_in(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Nothing of that kind is configured, so nobody was asked.
    #[must_use]
    pub fn not_configured(what: &str) -> Self {
        Self::new(Code::NotConfigured, format!("no {what} is configured"))
    }

    /// The same, of an originate that was certainly not sent.
    #[must_use]
    pub fn not_placed(self) -> Self {
        Self {
            outcome: Some(Outcome::NotPlaced),
            ..self
        }
    }

    fn outcome_unknown() -> Self {
        Self {
            outcome: Some(Outcome::Unknown),
            ..Self::new(
                Code::OriginateOutcomeUnknown,
                "the request left and no answer came: the call may have been placed, do not repeat it blindly",
            )
        }
    }

    /// The response to `request`: a problem document, or the original's shape on its routes.
    pub(super) fn respond(self, request: &HttpRequest) -> HttpResponse {
        let code = self.code;
        let state = request.app_data::<web::Data<AppState>>();
        let mut response = if state.is_some_and(|state| state.has_problems(request)) {
            problem::respond(&self, request)
        } else {
            Refusal::from(self).respond(request)
        };
        if code.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }

    /// The seconds of a `Retry-After` header, rounded up.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after
            .map(|wait| wait.as_millis().div_ceil(1_000).max(1) as u64)
    }
}

fn saturated(retry_after: Duration) -> Failure {
    Failure::new(Code::Saturated, "too many requests are in flight already").retry_in(retry_after)
}

fn restarting(retry_after: Duration) -> Failure {
    Failure::new(Code::Restarting, "the integration is starting").retry_in(retry_after)
}

fn circuit_open(retry_after: Duration) -> Failure {
    let message = "the integration has failed again and again and is left alone for a while";
    Failure::new(Code::CircuitOpen, message).retry_in(retry_after)
}

fn paused() -> Failure {
    Failure::new(Code::Paused, "an operator paused the integration").retry_in(DOWN)
}

fn down() -> Failure {
    let message = "the integration failed too often, or hangs, and stays down until an operator restarts it";
    Failure::new(Code::Failed, message).retry_in(DOWN)
}

fn too_late(message: &str) -> Failure {
    Failure::new(Code::DeadlineExceeded, message)
}

/// An originate: once it has begun, only the PBX's own answer says what became of it.
impl From<AskError<OriginateError>> for Failure {
    fn from(error: AskError<OriginateError>) -> Self {
        match error {
            AskError::Saturated { retry_after } => saturated(retry_after).not_placed(),
            AskError::CircuitOpen { retry_after } => circuit_open(retry_after).not_placed(),
            AskError::Paused => paused().not_placed(),
            AskError::Restarting { retry_after } => restarting(retry_after).not_placed(),
            AskError::Failed => down().not_placed(),
            AskError::DeadlineExceeded { begun: false } => {
                too_late("the deadline passed before anything was sent").not_placed()
            }
            AskError::DeadlineExceeded { begun: true } | AskError::Interrupted => Self::outcome_unknown(),
            AskError::Reply(error) => error.into(),
        }
    }
}

impl From<OriginateError> for Failure {
    fn from(error: OriginateError) -> Self {
        let message = error.to_string();
        match error {
            OriginateError::NotConnected(_) => {
                Self::new(Code::NotConnected, "not connected to Asterisk").retry_in(AWAY)
            }
            OriginateError::TooManyCalls(_) => Self::new(Code::TooManyCalls, message).retry_in(AWAY),
            OriginateError::TrunkRate { retry_after } => {
                Self::new(Code::TrunkRate, message).retry_in(retry_after)
            }
            OriginateError::UnknownTrunk(_) => {
                Self::new(Code::UnknownTrunk, "Asterisk does not know the trunk")
            }
            OriginateError::Ari(AriError::RequestNotSent(_)) => {
                Self::new(Code::RequestNotSent, "the request did not reach Asterisk").retry_in(AWAY)
            }
            OriginateError::Ari(AriError::Unauthorized) => Self::new(Code::CredentialsRefused, message),
            OriginateError::Ari(AriError::Rejected { .. }) => Self::new(Code::Rejected, message),
            OriginateError::Ari(AriError::OutcomeUnknown(_) | AriError::NoAnswer) => {
                return Self::outcome_unknown();
            }
        }
        .not_placed()
    }
}

/// A read of the CDR store: however it failed, it may be repeated.
impl From<AskError<StoreError>> for Failure {
    fn from(error: AskError<StoreError>) -> Self {
        match error {
            AskError::Saturated { retry_after } => saturated(retry_after),
            AskError::CircuitOpen { retry_after } => circuit_open(retry_after),
            AskError::Paused => paused(),
            AskError::Restarting { retry_after } => restarting(retry_after),
            AskError::Failed => down(),
            AskError::DeadlineExceeded { begun: _ } => too_late("the CDR store did not answer in time"),
            AskError::Interrupted => {
                Self::new(Code::Interrupted, "the CDR store failed half-way").retry_in(Duration::from_secs(1))
            }
            AskError::Reply(error) => error.into(),
        }
    }
}

/// Work on keys. A change may be asked for again: a key's name is its own, and what is revoked stays so.
impl From<AskError<KeyError>> for Failure {
    fn from(error: AskError<KeyError>) -> Self {
        let unsure = || {
            let message =
                "the ledger did not answer in time: a change may have been made, look before repeating it";
            Self::new(Code::StoreUnavailable, message).retry_in(AWAY)
        };
        match error {
            AskError::Saturated { retry_after } => saturated(retry_after),
            AskError::CircuitOpen { retry_after } => circuit_open(retry_after),
            AskError::Paused => paused(),
            AskError::Restarting { retry_after } => restarting(retry_after),
            AskError::Failed => down(),
            AskError::DeadlineExceeded { begun: false } => {
                too_late("the deadline passed before anything was done")
            }
            AskError::DeadlineExceeded { begun: true } | AskError::Interrupted => unsure(),
            AskError::Reply(error) => match error {
                KeyError::NameTaken => Self::new(Code::KeyNameTaken, error.to_string()),
                KeyError::TooMany => Self::new(Code::TooManyKeys, error.to_string()),
                KeyError::Unknown => Self::new(Code::NotFound, error.to_string()),
                KeyError::NoRandomness => Self::new(Code::InternalError, error.to_string()),
                KeyError::Store(StoreError::PoolTimeout | StoreError::TooManyAnswers) => {
                    saturated(Duration::from_secs(1))
                }
                KeyError::Store(StoreError::NotOpen(_) | StoreError::Unavailable(_)) => unsure(),
                KeyError::Store(StoreError::Query(_)) => Self::new(Code::StoreFailed, "the ledger failed"),
                KeyError::Store(StoreError::Decode(_)) => Self::new(
                    Code::StoreDamaged,
                    "the ledger holds something that makes no sense",
                ),
            },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PoolTimeout | StoreError::TooManyAnswers => saturated(Duration::from_secs(1)),
            StoreError::NotOpen(_) | StoreError::Unavailable(_) => {
                Self::new(Code::StoreUnavailable, "the CDR store is not available").retry_in(AWAY)
            }
            StoreError::Query(_) => Self::new(Code::StoreFailed, "the CDR store failed"),
            StoreError::Decode(_) => Self::new(
                Code::StoreDamaged,
                "the CDR store holds a row that makes no sense",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Full;

    const SECOND: Duration = Duration::from_secs(1);

    /// Status, code, retryable, outcome, Retry-After.
    type Row = (u16, &'static str, bool, Option<Outcome>, Option<u64>);

    fn row(failure: &Failure) -> Row {
        (
            failure.code.status().as_u16(),
            failure.code.as_str(),
            failure.code.retryable(),
            failure.outcome,
            failure.retry_after_s(),
        )
    }

    #[test]
    fn an_originate_that_did_not_succeed_says_what_became_of_the_call() {
        let words = || "10.0.0.5: no route to 79102223311".to_owned();
        let placed_not = Some(Outcome::NotPlaced);
        let unknown: Row = (
            502,
            "originate_outcome_unknown",
            false,
            Some(Outcome::Unknown),
            None,
        );
        let rejected = AriError::Rejected {
            status: 500,
            message: "Allocation failed".to_owned(),
        };
        let table: [(AskError<OriginateError>, Row); 17] = [
            (
                AskError::Saturated { retry_after: SECOND },
                (503, "saturated", true, placed_not, Some(1)),
            ),
            (
                AskError::Restarting {
                    retry_after: SECOND / 2,
                },
                (503, "restarting", true, placed_not, Some(1)),
            ),
            (AskError::Failed, (503, "failed", true, placed_not, Some(30))),
            (AskError::Paused, (503, "paused", true, placed_not, Some(30))),
            (
                AskError::CircuitOpen {
                    retry_after: 3 * SECOND / 2,
                },
                (503, "circuit_open", true, placed_not, Some(2)),
            ),
            (
                AskError::DeadlineExceeded { begun: false },
                (504, "deadline_exceeded", true, placed_not, None),
            ),
            (AskError::DeadlineExceeded { begun: true }, unknown),
            (AskError::Interrupted, unknown),
            (AskError::Reply(AriError::OutcomeUnknown(words()).into()), unknown),
            (
                AskError::Reply(OriginateError::NotConnected(words())),
                (503, "not_connected", true, placed_not, Some(5)),
            ),
            (
                AskError::Reply(OriginateError::TooManyCalls(Full::Node)),
                (503, "too_many_calls", true, placed_not, Some(5)),
            ),
            (
                AskError::Reply(OriginateError::TooManyCalls(Full::Trunk)),
                (503, "too_many_calls", true, placed_not, Some(5)),
            ),
            (
                AskError::Reply(OriginateError::TrunkRate {
                    retry_after: SECOND * 3 / 2,
                }),
                (503, "trunk_rate", true, placed_not, Some(2)),
            ),
            (
                AskError::Reply(AriError::RequestNotSent(words()).into()),
                (503, "request_not_sent", true, placed_not, Some(5)),
            ),
            (
                AskError::Reply(AriError::Unauthorized.into()),
                (502, "credentials_refused", true, placed_not, None),
            ),
            (
                AskError::Reply(OriginateError::UnknownTrunk(words())),
                (502, "unknown_trunk", true, placed_not, None),
            ),
            (
                AskError::Reply(rejected.into()),
                (502, "rejected", true, placed_not, None),
            ),
        ];
        for (error, expected) in table {
            let shown = format!("{error:?}");
            let certain = error.never_begun();
            let failure = Failure::from(error);
            assert_eq!(row(&failure), expected, "{shown}");
            assert!(!failure.message.contains("79102223311"), "{shown}");
            assert!(!certain || failure.outcome == placed_not, "{shown}");
        }
    }

    #[test]
    fn a_read_that_failed_may_be_repeated_unless_the_store_is_broken() {
        let words = || "relation cdr does not exist".to_owned();
        let table: [(AskError<StoreError>, Row); 13] = [
            (
                AskError::Saturated { retry_after: SECOND },
                (503, "saturated", true, None, Some(1)),
            ),
            (
                AskError::Restarting { retry_after: SECOND },
                (503, "restarting", true, None, Some(1)),
            ),
            (AskError::Failed, (503, "failed", true, None, Some(30))),
            (AskError::Paused, (503, "paused", true, None, Some(30))),
            (
                AskError::CircuitOpen { retry_after: SECOND },
                (503, "circuit_open", true, None, Some(1)),
            ),
            (
                AskError::DeadlineExceeded { begun: false },
                (504, "deadline_exceeded", true, None, None),
            ),
            (
                AskError::DeadlineExceeded { begun: true },
                (504, "deadline_exceeded", true, None, None),
            ),
            (AskError::Interrupted, (503, "interrupted", true, None, Some(1))),
            (
                AskError::Reply(StoreError::PoolTimeout),
                (503, "saturated", true, None, Some(1)),
            ),
            (
                AskError::Reply(StoreError::TooManyAnswers),
                (503, "saturated", true, None, Some(1)),
            ),
            (
                AskError::Reply(StoreError::Unavailable(words())),
                (503, "store_unavailable", true, None, Some(5)),
            ),
            (
                AskError::Reply(StoreError::Query(words())),
                (500, "store_failed", false, None, None),
            ),
            (
                AskError::Reply(StoreError::Decode(words())),
                (500, "store_damaged", false, None, None),
            ),
        ];
        for (error, expected) in table {
            let shown = format!("{error:?}");
            let failure = Failure::from(error);
            assert_eq!(row(&failure), expected, "{shown}");
            assert!(!failure.message.contains("relation"), "{shown}");
        }
    }
}
