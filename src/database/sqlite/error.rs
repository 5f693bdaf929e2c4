//! SQLite's errors without the values that caused them.

use rusqlite::ErrorCode;

use crate::database::StoreError;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "both enums may grow, and all the others mean the same"
)]
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let sqlite = match error {
            rusqlite::Error::SqliteFailure(sqlite, _)
            | rusqlite::Error::SqlInputError { error: sqlite, .. } => sqlite,
            rusqlite::Error::InvalidColumnType(_, column, _) => return Self::Decode(column),
            rusqlite::Error::FromSqlConversionFailure(column, ..)
            | rusqlite::Error::IntegralValueOutOfRange(column, _) => {
                return Self::Decode(format!("column {column}"));
            }
            rusqlite::Error::QueryReturnedNoRows => return Self::Decode("a row is missing".to_owned()),
            _ => return Self::Query("a misuse of the database".to_owned()),
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
            | ErrorCode::DatabaseCorrupt
            // SQLite's `SQLITE_ERROR`: a table or a column is missing. No row's fault.
            | ErrorCode::Unknown => Self::Unavailable(text),
            _ => Self::Query(text),
        }
    }
}
