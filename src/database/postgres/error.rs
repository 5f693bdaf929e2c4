//! PostgreSQL's errors without the values that caused them: its messages quote them, so only codes and names pass.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::database::StoreError;

/// Classes and codes of errors that are no row's fault and pass: no connection, no resources, an operator's intervention, limits
/// of ours, a lost race, a server that only reads since another has taken its place, a schema or rights that are not those
/// that this program was started on (`42`, `0A000`).
const TRANSIENT: [&str; 11] = [
    "08", "0A000", "25006", "25P03", "28", "40", "42", "53", "55P03", "57", "58",
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return database(error);
        }
        let io = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
        match io {
            Some(io) => Self::Unavailable(
                match io
                    .get_ref()
                    .and_then(|cause| cause.downcast_ref::<rustls::Error>())
                {
                    // Why a certificate is refused, and its names.
                    Some(tls) => format!("{error}: {tls}"),
                    None => format!("{error}: {}", io.kind()),
                },
            ),
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
    if TRANSIENT.iter().any(|transient| code.starts_with(transient)) {
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
