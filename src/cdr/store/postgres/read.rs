//! Everything that only reads.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::Row as PgRow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::cdr::record::Sourced;
use crate::cdr::store::row::{Row, select, stored};
use crate::cdr::store::tombstone::{Erasable, TombstoneKey};
use crate::cdr::store::{self, LegacyRow, Position, RecordingFile, sql};
use crate::cdr::value::{Kind, Value as _};
use crate::database::StoreError;

pub(super) async fn query(
    client: &Object,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<PgRow>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, params).await?)
}

pub(super) async fn position(client: &Object, pbx: &str) -> Result<Position, StoreError> {
    let rows = query(client, sql::POSITION, &[&pbx]).await?;
    let json = rows.first().map(|row| row.try_get(0)).transpose()?;
    store::position(json)
}

pub(super) async fn leg_digests(
    client: &Object,
    pbx: &str,
    from: Uuid,
    until: Uuid,
) -> Result<Vec<(String, String)>, StoreError> {
    let (from, until) = (from.to_string(), until.to_string());
    let rows = query(client, sql::LEG_DIGESTS, &[&pbx, &from, &until]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(super) async fn recording_digests(
    client: &Object,
    pbx: &str,
    from: i64,
    until: i64,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = query(client, sql::RECORDING_DIGESTS, &[&pbx, &from, &until]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get::<_, i64>(0)?.to_string(), row.try_get(1)?)))
        .collect()
}

pub(super) async fn digests_of(
    client: &Object,
    pbx: &str,
    ids: &[Uuid],
    key: &TombstoneKey,
) -> Result<Vec<(String, String)>, StoreError> {
    let by_hash: HashMap<String, String> = ids
        .iter()
        .map(|id| (key.hash(pbx, Erasable::Leg(*id)), id.to_string()))
        .collect();
    let hashes: Vec<&str> = by_hash.keys().map(String::as_str).collect();
    let texts: Vec<&str> = by_hash.values().map(String::as_str).collect();
    let erased = "SELECT key_hash, source_digest FROM tombstone WHERE pbx = $1 AND key_hash = ANY($2)";
    let stored = "SELECT cdr_id, source_digest FROM cdr WHERE pbx = $1 AND cdr_id = ANY($2)";
    let mut found = BTreeMap::new();
    for row in query(client, erased, &[&pbx, &hashes]).await? {
        let id = by_hash.get(row.try_get::<_, &str>(0)?).cloned();
        let digest = row.try_get(1)?;
        found.extend(id.map(|id| (id, digest)));
    }
    for row in query(client, stored, &[&pbx, &texts]).await? {
        found.insert(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(found.into_iter().collect())
}

pub(super) async fn last_call_id(client: &Object, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError> {
    let statement = client.prepare_cached(sql::LAST_CALL_ID).await?;
    let row = client.query_one(&statement, &[&pbx]).await?;
    let last: Option<&str> = row.try_get(0)?;
    Ok((last.map(store::uuid).transpose()?, row.try_get(1)?))
}

pub(super) async fn after_call_id(
    client: &Object,
    pbx: &str,
    call_id: &str,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<LegacyRow>, StoreError> {
    let limit = store::limit(limit);
    let after = match after {
        None if all_are_after(client, pbx, call_id).await? => Some(String::new()),
        after => after.map(|after| after.to_string()),
    };
    let rows = match after {
        None => query(client, sql::FIRST_AFTER_CALL_ID, &[&pbx, &call_id, &limit]).await?,
        Some(after) => query(client, sql::NEXT_AFTER_CALL_ID, &[&pbx, &call_id, &after, &limit]).await?,
    };
    rows.iter().map(legacy_row).collect()
}

async fn all_are_after(client: &Object, pbx: &str, call_id: &str) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(sql::FIRST_CALL_ID).await?;
    let row = client.query_one(&statement, &[&pbx]).await?;
    let first: Option<&str> = row.try_get(0)?;
    Ok(first.is_some_and(|first| first > call_id))
}

pub(super) async fn legs(client: &Object, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError> {
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let rows = query(client, sql::LEGS_OF_ARRAY, &[&pbx, &ids]).await?;
    rows.iter().map(legacy_row).collect()
}

fn legacy_row(row: &PgRow) -> Result<LegacyRow, StoreError> {
    Ok(LegacyRow {
        call_history_id: store::uuid(row.try_get(0)?)?,
        cdr_id: store::uuid(row.try_get(1)?)?,
        started_at: row.try_get(2)?,
        answered_at: row.try_get(3)?,
        ended_at: row.try_get(4)?,
        source_number: row.try_get(5)?,
        destination_number: row.try_get(6)?,
        id_recording: row.try_get(8)?,
        recording_url: row.try_get(7)?,
    })
}

pub(super) async fn recording_file(
    client: &Object,
    pbx: &str,
    id_recording: i64,
) -> Result<Option<RecordingFile>, StoreError> {
    let rows = query(client, sql::RECORDING_FILE, &[&pbx, &id_recording]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(RecordingFile {
        recording_url: row.try_get(0)?,
        archived: row.try_get::<_, Option<bool>>(1)?.unwrap_or(false),
    }))
}

pub(super) async fn rows<R: Row>(
    client: &Object,
    pbx: &str,
    after: &(dyn ToSql + Sync),
    limit: usize,
) -> Result<Vec<Sourced<R>>, StoreError> {
    let limit = store::limit(limit);
    let rows = query(client, &select::<R>(), &[&pbx, after, &limit]).await?;
    rows.iter()
        .map(|row| {
            let columns = R::COLUMNS.iter().enumerate();
            let texts: Result<_, StoreError> = columns
                .map(|(index, column)| text(column.kind, row, index))
                .collect();
            stored(texts?, row.try_get(R::COLUMNS.len())?)
        })
        .collect()
}

/// The source's text for a stored value.
fn text(kind: Kind, row: &PgRow, index: usize) -> Result<Option<String>, StoreError> {
    Ok(match kind {
        Kind::Id | Kind::Text => row.try_get(index)?,
        Kind::Flag => row.try_get::<_, Option<bool>>(index)?.to_text(),
        Kind::Moment => row.try_get::<_, Option<Timestamp>>(index)?.to_text(),
        Kind::Integer => row.try_get::<_, Option<i64>>(index)?.to_text(),
    })
}
