//! Work on the gateway's own stores.

use std::time::Duration;

use super::ask::{OperationError, Unfinished, saturated};
use super::{AWAY, ApiError, ErrorCode};
use crate::database::StoreError;
use crate::ledger::key::KeyError;

/// A read: however it failed, it may be repeated.
impl OperationError for StoreError {
    const ASKED: &'static str = "the store";

    fn told(self) -> ApiError {
        match self {
            Self::PoolTimeout | Self::TooManyAnswers => saturated(Duration::from_secs(1)),
            Self::NotOpen(_) | Self::Unavailable(_) => ErrorCode::StoreUnavailable
                .error("the store is not available")
                .retry_in(AWAY),
            Self::Query(_) => ErrorCode::StoreFailed.error("the store failed"),
            Self::Decode(_) => ErrorCode::StoreDamaged.error("the store holds a record that makes no sense"),
        }
    }
}

/// Work on keys. A change may be asked for again: a key's name is its own, and what is revoked stays so.
impl OperationError for KeyError {
    const ASKED: &'static str = "the ledger";

    fn told(self) -> ApiError {
        let code = match self {
            Self::NameTaken => ErrorCode::KeyNameTaken,
            Self::TooMany => ErrorCode::TooManyKeys,
            Self::Unknown => ErrorCode::NotFound,
            Self::NoRandomness => ErrorCode::InternalError,
            Self::Store(StoreError::NotOpen(_) | StoreError::Unavailable(_)) => {
                return Self::unfinished(Unfinished::Interrupted);
            }
            Self::Store(error) => return error.told(),
        };
        code.error(self.to_string())
    }

    fn unfinished(_: Unfinished) -> ApiError {
        let message =
            "the ledger did not answer in time: a change may have been made, look before repeating it";
        ErrorCode::StoreUnavailable.error(message).retry_in(AWAY)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Told, told};
    use super::*;

    #[test]
    fn a_store_that_failed_says_whether_to_try_again_and_nothing_of_its_insides() {
        let words = || "relation cdr does not exist".to_owned();
        let table: [(StoreError, Told); 6] = [
            (StoreError::PoolTimeout, (503, "saturated", true, None, Some(1))),
            (
                StoreError::TooManyAnswers,
                (503, "saturated", true, None, Some(1)),
            ),
            (
                StoreError::NotOpen(words()),
                (503, "store_unavailable", true, None, Some(5)),
            ),
            (
                StoreError::Unavailable(words()),
                (503, "store_unavailable", true, None, Some(5)),
            ),
            (
                StoreError::Query(words()),
                (500, "store_failed", false, None, None),
            ),
            (
                StoreError::Decode(words()),
                (500, "store_damaged", false, None, None),
            ),
        ];
        for (error, expected) in table {
            for answer in [error.clone().told(), KeyError::Store(error.clone()).told()] {
                assert_eq!(told(&answer), expected, "{error:?}");
                assert!(!answer.to_string().contains("relation"), "{error:?}");
            }
        }
    }

    #[test]
    fn a_change_of_keys_that_may_have_been_made_is_to_be_looked_at_first() {
        for answer in [
            KeyError::unfinished(Unfinished::Overdue),
            KeyError::Store(StoreError::Unavailable(String::new())).told(),
        ] {
            assert!(answer.to_string().contains("look before repeating"), "{answer}");
        }
        assert_eq!(told(&KeyError::Unknown.told()).0, 404);
        assert_eq!(told(&KeyError::NameTaken.told()).0, 409);
    }
}
