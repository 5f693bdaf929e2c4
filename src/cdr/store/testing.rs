//! The rows themselves, for tests of what a store holds.

use jiff::Timestamp;
use uuid::Uuid;

use super::row::names;
use super::{CdrStore, limit};
use crate::cdr::record::{Cdr, Recording, SourceRow, Sourced};
use crate::cdr::value::{Kind, Value as _};
use crate::database::{self, FromRow, StoreError, Value, params};

impl CdrStore {
    /// The stored legs: of `pbx` after `after`, at most `limit`, by `cdr_id`.
    ///
    /// # Errors
    /// When the store fails, or holds what is no leg.
    pub async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, StoreError> {
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.select(params![pbx, after, self::limit(limit)]).await
    }

    /// The stored recordings: of `pbx` after `after`, at most `limit`, by `id_recording`.
    ///
    /// # Errors
    /// When the store fails, or holds what is no recording.
    pub async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, StoreError> {
        self.select(params![pbx, after.unwrap_or(i64::MIN), self::limit(limit)])
            .await
    }

    async fn select<R: SourceRow>(&self, values: Vec<Value>) -> Result<Vec<Sourced<R>>, StoreError> {
        self.database.query(select::<R>(), values).await
    }
}

/// The statement that reads rows by key: of `$1` after `$2`, at most `$3`; the digest last.
pub(super) fn select<R: SourceRow>() -> String {
    let (table, key) = (R::TABLE, R::COLUMNS[0].name);
    format!(
        "SELECT {}, source_digest FROM {table} WHERE pbx = $1 AND {key} > $2 ORDER BY {key} LIMIT $3",
        names::<R>()
    )
}

/// A row from its columns, as the source's texts, and its digest.
impl<R: SourceRow> FromRow for Sourced<R> {
    fn from_row(row: &database::Row<'_>) -> Result<Self, StoreError> {
        let columns = R::COLUMNS.iter().enumerate();
        let texts: Result<_, StoreError> = columns
            .map(|(index, column)| {
                Ok(match column.kind {
                    Kind::Id | Kind::Text => row.get(index)?,
                    Kind::Flag => row.get::<Option<bool>>(index)?.to_text(),
                    Kind::Moment => row.get::<Option<Timestamp>>(index)?.to_text(),
                    Kind::Integer => row.get::<Option<i64>>(index)?.to_text(),
                })
            })
            .collect();
        let source_digest = row.get(R::COLUMNS.len())?;
        match R::from_texts(texts?) {
            Ok(row) => Ok(Self { row, source_digest }),
            Err(error) => Err(StoreError::Decode(error.to_string())),
        }
    }
}
