//! What legs and recordings have in common for a store: a table, a key, columns, and our own columns after them.

use jiff::Timestamp;

use crate::cdr::record::{SourceRow, Sourced};
use crate::cdr::value::{Kind, Value as _};
use crate::database::{self, FromRow, StoreError};

/// The names of the source's columns, with commas.
fn names<R: SourceRow>() -> String {
    let names: Vec<&str> = R::COLUMNS.iter().map(|column| column.name).collect();
    names.join(", ")
}

/// The head and the foot of a statement that stores rows, new or changed, around where the values come from: after
/// `pbx` and the source's columns these are `source_digest, seq, revision, stored_at, updated_at`.
pub(super) fn upsert<R: SourceRow>(values: &str) -> String {
    let (table, key) = (R::TABLE, R::COLUMNS[0].name);
    let updates: Vec<String> = R::COLUMNS[1..]
        .iter()
        .map(|column| column.name)
        .chain(["source_digest", "seq", "revision", "updated_at"])
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    format!(
        "INSERT INTO {table} (pbx, {}, source_digest, seq, revision, stored_at, updated_at) {values} \
         ON CONFLICT (pbx, {key}) DO UPDATE SET {}",
        names::<R>(),
        updates.join(", ")
    )
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
