//! What legs and recordings have in common for a store: a table, a key, columns, and our own columns after them.

use uuid::Uuid;

use crate::cdr::record::SourceRow;
use crate::database::StoreError;

/// The names of the source's columns, with commas.
pub(super) fn names<R: SourceRow>() -> String {
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

/// An id that was stored as text.
pub(super) fn uuid(text: &str) -> Result<Uuid, StoreError> {
    Uuid::try_parse(text).map_err(|_| StoreError::Decode("an id is no uuid".to_owned()))
}
