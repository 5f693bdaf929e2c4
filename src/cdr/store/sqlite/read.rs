//! Everything that only reads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use crate::cdr::record::Sourced;
use crate::cdr::store::row::{Row, select, stored};
use crate::cdr::store::tombstone::{Erasable, TombstoneKey};
use crate::cdr::store::{self, CdrRange, LegacyRow, Position, RecordingFile, sql};
use crate::cdr::value::Kind;
use crate::database::StoreError;

pub(super) fn position(connection: &Connection, pbx: &str) -> Result<Position, StoreError> {
    let json: Option<String> = connection
        .prepare_cached(sql::POSITION)?
        .query_row([pbx], |row| row.get(0))
        .optional()?;
    store::position(json.as_deref())
}

pub(super) fn digests(
    connection: &Connection,
    pbx: &str,
    range: CdrRange,
    key: &TombstoneKey,
) -> Result<Vec<(String, String)>, StoreError> {
    match range {
        CdrRange::Cdrs { from, until } => {
            let mut statement = connection.prepare_cached(sql::LEG_DIGESTS)?;
            let rows = statement.query_map(params![pbx, from.to_string(), until.to_string()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        }
        CdrRange::Recordings { from, until } => {
            let mut statement = connection.prepare_cached(sql::RECORDING_DIGESTS)?;
            let rows = statement.query_map(params![pbx, from, until], |row| {
                Ok((row.get::<_, i64>(0)?.to_string(), row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        }
        CdrRange::CdrIds(ids) => digests_of(connection, pbx, &ids, key),
    }
}

fn digests_of(
    connection: &Connection,
    pbx: &str,
    ids: &[Uuid],
    key: &TombstoneKey,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut stored =
        connection.prepare_cached("SELECT source_digest FROM cdr WHERE pbx = ?1 AND cdr_id = ?2")?;
    let mut erased =
        connection.prepare_cached("SELECT source_digest FROM tombstone WHERE pbx = ?1 AND key_hash = ?2")?;
    let mut found = BTreeMap::new();
    for id in ids {
        let text = id.to_string();
        let mut digest: Option<String> = stored
            .query_row(params![pbx, text], |row| row.get(0))
            .optional()?;
        if digest.is_none() {
            let hash = key.hash(pbx, Erasable::Leg(*id));
            digest = erased
                .query_row(params![pbx, hash], |row| row.get(0))
                .optional()?;
        }
        found.extend(digest.map(|digest| (text, digest)));
    }
    Ok(found.into_iter().collect())
}

pub(super) fn last_call_id(connection: &Connection, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError> {
    let (last, head) = connection
        .prepare_cached(sql::LAST_CALL_ID)?
        .query_row([pbx], |row| Ok((row.get::<_, Option<String>>(0)?, row.get(1)?)))?;
    Ok((last.as_deref().map(store::uuid).transpose()?, head))
}

pub(super) fn after_call_id(
    connection: &Connection,
    pbx: &str,
    call_id: &str,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<LegacyRow>, StoreError> {
    let limit = store::limit(limit);
    let (sql, after) = match after {
        None if all_are_after(connection, pbx, call_id)? => (sql::NEXT_AFTER_CALL_ID, Some(String::new())),
        None => (sql::FIRST_AFTER_CALL_ID, None),
        Some(after) => (sql::NEXT_AFTER_CALL_ID, Some(after.to_string())),
    };
    let mut params: Vec<&dyn ToSql> = vec![&pbx, &call_id];
    params.extend(after.as_ref().map(|after| after as &dyn ToSql));
    params.push(&limit);
    legacy_rows(connection, sql, &params)
}

fn all_are_after(connection: &Connection, pbx: &str, call_id: &str) -> Result<bool, StoreError> {
    let first: Option<String> = connection
        .prepare_cached(sql::FIRST_CALL_ID)?
        .query_row([pbx], |row| row.get(0))?;
    Ok(first.is_some_and(|first| first.as_str() > call_id))
}

pub(super) fn legs(connection: &Connection, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError> {
    let ids = serde_json::to_string(ids).map_err(|_| StoreError::Query("ids have no JSON".to_owned()))?;
    legacy_rows(connection, sql::LEGS_OF_JSON, &[&pbx, &ids])
}

fn legacy_rows(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<LegacyRow>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut legs = Vec::new();
    while let Some(row) = rows.next()? {
        legs.push(LegacyRow {
            call_history_id: store::uuid(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
            cdr_id: store::uuid(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
            started_at: moment(row.get(2)?)?,
            answered_at: row.get::<_, Option<i64>>(3)?.map(moment).transpose()?,
            ended_at: moment(row.get(4)?)?,
            source_number: row.get(5)?,
            destination_number: row.get(6)?,
            id_recording: row.get(8)?,
            recording_url: row.get(7)?,
        });
    }
    Ok(legs)
}

pub(super) fn recording_file(
    connection: &Connection,
    pbx: &str,
    id_recording: i64,
) -> Result<Option<RecordingFile>, StoreError> {
    let mut statement = connection.prepare_cached(sql::RECORDING_FILE)?;
    let file = statement.query_row(params![pbx, id_recording], |row| {
        Ok(RecordingFile {
            recording_url: row.get(0)?,
            archived: row.get::<_, Option<bool>>(1)?.unwrap_or(false),
        })
    });
    Ok(file.optional()?)
}

fn moment(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| StoreError::Decode("a moment is out of range".to_owned()))
}

pub(super) fn rows<R: Row>(
    connection: &Connection,
    pbx: &str,
    after: impl ToSql,
    limit: usize,
) -> Result<Vec<Sourced<R>>, StoreError> {
    let mut statement = connection.prepare(&select::<R>())?;
    let mut rows = statement.query(params![pbx, after, store::limit(limit)])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let texts: Result<_, rusqlite::Error> = R::COLUMNS
            .iter()
            .enumerate()
            .map(|(index, column)| text(column.kind, row, index))
            .collect();
        read.push(stored(texts?, row.get(R::COLUMNS.len())?)?);
    }
    Ok(read)
}

/// The source's text for a stored value.
fn text(kind: Kind, row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    if row.get_ref(index)? == ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(match kind {
        Kind::Id | Kind::Text => row.get(index)?,
        Kind::Flag => row.get::<_, bool>(index)?.to_string(),
        Kind::Moment | Kind::Integer => row.get::<_, i64>(index)?.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about a statement over the schema, without statistics, as in production.
    fn plan(sql: &str) -> String {
        let connection = Connection::open_in_memory().unwrap();
        for migration in [
            include_str!("../migrations/sqlite/V1__cdr.sql"),
            include_str!("../migrations/sqlite/V2__client_cursor.sql"),
        ] {
            connection.execute_batch(migration).unwrap();
        }
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let params = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(params), |row| row.get::<_, String>(3));
        let steps = steps.unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_search_finds_its_first_page_by_call_and_the_next_ones_by_leg() {
        let first = plan(sql::FIRST_AFTER_CALL_ID);
        let by_call = "USING COVERING INDEX cdr_call (pbx=? AND call_history_id>?)";
        assert!(first.contains(by_call), "{first}");
        let next = plan(sql::NEXT_AFTER_CALL_ID);
        let by_leg = "USING INDEX sqlite_autoindex_cdr_1 (pbx=? AND cdr_id>?)";
        assert!(next.contains(by_leg), "{next}");
        assert!(!next.contains("TEMP B-TREE"), "{next}");
        for recordings in [&first, &next] {
            let by_leg = "SEARCH r USING INDEX recording_leg (pbx=? AND cdr_id=?)";
            assert!(recordings.contains(by_leg), "{recordings}");
            let first = "SEARCH r USING COVERING INDEX recording_leg (pbx=? AND cdr_id=?)";
            assert!(recordings.contains(first), "{recordings}");
        }
    }

    #[test]
    fn what_was_stored_since_comes_from_the_feed_and_then_by_leg() {
        let feed = "USING COVERING INDEX cdr_feed (pbx=? AND seq>?";
        let late = plan(sql::LATE_UNTIL);
        assert!(late.contains(feed) && !late.contains("TEMP B-TREE"), "{late}");
        let since = plan(sql::LEGS_SINCE);
        assert!(since.contains(feed), "{since}");
        let greater = plan(sql::legs_since(0));
        let by_call = "USING COVERING INDEX cdr_call (pbx=? AND call_history_id>?)";
        assert!(greater.contains(feed) && greater.contains(by_call), "{greater}");
        let legs = plan(sql::LEGS_OF_JSON);
        let by_leg = "USING INDEX sqlite_autoindex_cdr_1 (pbx=? AND cdr_id=?)";
        assert!(legs.contains(by_leg) && !legs.contains("FOR ORDER BY"), "{legs}");
    }

    #[test]
    fn what_was_handed_out_is_found_and_forgotten_by_an_index() {
        for statement in [sql::RESUME, sql::REMEMBERED] {
            let plan = plan(statement);
            let by_key = "client_cursor USING PRIMARY KEY (pbx=? AND client=? AND call_id=?)";
            assert!(plan.contains(by_key), "{plan}");
        }
        for (statement, index) in [
            (
                sql::FORGET_OLD,
                "USING COVERING INDEX client_cursor_age (handed_out_at<?)",
            ),
            (
                sql::FORGET_SURPLUS,
                "USING COVERING INDEX client_cursor_client (pbx=? AND client=?)",
            ),
        ] {
            let plan = plan(statement);
            assert!(
                plan.contains(index) && !plan.contains("SCAN client_cursor"),
                "{plan}"
            );
        }
    }

    #[test]
    fn the_last_call_id_digests_and_files_come_from_an_index() {
        let last = plan(sql::LAST_CALL_ID);
        let from_its_end = "SEARCH cdr USING COVERING INDEX cdr_call (pbx=?)";
        assert!(last.contains(from_its_end), "{last}");
        for statement in [
            sql::FIRST_CALL_ID,
            sql::LEG_DIGESTS,
            sql::RECORDING_DIGESTS,
            sql::RECORDING_FILE,
        ] {
            let plan = plan(statement);
            assert!(
                plan.starts_with("SEARCH ") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }
}
