//! PostgreSQL's errors without the values that caused them: its messages quote them, so only codes and names pass.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::database::StoreError;

/// Classes and codes of errors that pass by themselves: no connection, no resources, an operator's intervention, limits of
/// ours, a lost race, a server that only reads since another has taken its place.
const PASSING: [&str; 9] = ["08", "53", "57", "58", "28", "40", "55P03", "25P03", "25006"];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return database(error);
        }
        let io = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match io {
            Some(io) => Self::Unavailable(format!("{error}: {}", io.kind())),
            // What the client says by itself names positions and columns, no values.
            None if error.is_closed() => Self::Unavailable(error.to_string()),
            None => Self::Query(error.to_string()),
        }
    }
}

fn database(error: &DbError) -> StoreError {
    let code = error.code().code();
    let mut text = format!("SQLSTATE {code}");
    if let Some(constraint) = error.constraint() {
        text.push_str(", constraint ");
        text.push_str(constraint);
    }
    if PASSING.iter().any(|passing| code.starts_with(passing)) {
        StoreError::Unavailable(text)
    } else {
        StoreError::Query(text)
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::PoolTimeout,
            // Whatever keeps a connection from being made, the store is not there.
            PoolError::Backend(error) => Self::Unavailable(match Self::from(error) {
                Self::Query(text) | Self::NotOpen(text) | Self::Unavailable(text) | Self::Decode(text) => {
                    text
                }
                error @ (Self::PoolTimeout | Self::TooManyAnswers) => return error,
            }),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::Unavailable("no connection in time".to_owned())
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Unavailable("no connection".to_owned())
            }
        }
    }
}
