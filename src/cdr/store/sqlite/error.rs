//! SQLite's errors without the values that caused them.

use deadpool_sqlite::{PoolError, TimeoutType};
use rusqlite::ErrorCode;

use crate::cdr::error::CdrError;

impl From<rusqlite::Error> for CdrError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(sqlite) = error.sqlite_error() else {
            return match error {
                rusqlite::Error::InvalidColumnType(_, column, _) => Self::Decode(column),
                rusqlite::Error::FromSqlConversionFailure(column, ..)
                | rusqlite::Error::IntegralValueOutOfRange(column, _) => {
                    Self::Decode(format!("column {column}"))
                }
                rusqlite::Error::QueryReturnedNoRows => Self::Decode("a row is missing".to_owned()),
                _ => Self::Query("a misuse of the database".to_owned()),
            };
        };
        // Its text is SQLite's own for the code: no names, no values.
        let text = sqlite.to_string();
        match sqlite.code {
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OperationInterrupted
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt => Self::Unavailable(text),
            _ => Self::Query(text),
        }
    }
}

impl From<PoolError> for CdrError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::PoolTimeout,
            PoolError::Backend(error)
            | PoolError::PostCreateHook(deadpool_sqlite::HookError::Backend(error)) => error.into(),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::Unavailable("no connection in time".to_owned())
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Unavailable("no connection".to_owned())
            }
        }
    }
}
