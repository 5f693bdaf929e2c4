//! What clients were handed out, and what was stored since.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use uuid::Uuid;

use crate::cdr::cursor::{ClientId, FORGET_AT_ONCE, HandedOut, REMEMBERED_IDS, Resumed, Since};
use crate::cdr::store::{self, sql};
use crate::database::StoreError;

pub(super) fn resume(
    connection: &Connection,
    pbx: &str,
    client: &ClientId,
    call_id: &str,
    late: usize,
) -> Result<Resumed, StoreError> {
    let (head, seq, greater) =
        connection
            .prepare_cached(sql::RESUME)?
            .query_row(params![pbx, client.as_str(), call_id], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, Option<i64>>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                ))
            })?;
    let since = seq.zip(greater).map(|(seq, greater)| Since { seq, greater });
    let mut until = head;
    if let Some(since) = since {
        let before = store::limit(late.saturating_sub(1));
        let last = connection
            .prepare_cached(sql::LATE_UNTIL)?
            .query_row(params![pbx, since.seq, head, call_id, before], |row| row.get(0))
            .optional()?;
        until = last.unwrap_or(head);
    }
    Ok(Resumed { since, until })
}

/// Those of the ids that have to be written.
pub(super) fn unknown(
    connection: &Connection,
    pbx: &str,
    client: &ClientId,
    handed_out: HandedOut,
) -> Result<Vec<(String, Since)>, StoreError> {
    let (_, lately) = store::remembered_since();
    let mut remembered = connection.prepare_cached(sql::REMEMBERED)?;
    let mut unknown = Vec::new();
    for (id, since) in store::to_remember(handed_out) {
        let params = params![lately.as_microsecond(), pbx, client.as_str(), id];
        let found = remembered.query_row(params, |row| Ok((row.get(0)?, row.get(1)?)));
        let known = found
            .optional()?
            .is_some_and(|(seq, greater)| store::is_known(since, seq, greater));
        if !known {
            unknown.push((id, since));
        }
    }
    Ok(unknown)
}

pub(super) fn remember(
    connection: &mut Connection,
    pbx: &str,
    client: &ClientId,
    ids: &[(String, Since)],
    forget: bool,
) -> Result<(), StoreError> {
    // Unlike what was collected this cannot be read again: it must survive the machine's power.
    connection.pragma_update(None, "synchronous", "full")?;
    let written = write(connection, pbx, client, ids);
    connection.pragma_update(None, "synchronous", "normal")?;
    written?;
    if forget && let Err(error) = self::forget(connection, pbx, client) {
        tracing::warn!(%error, "the call ids that clients were handed out long ago are still there");
    }
    Ok(())
}

fn write(
    connection: &mut Connection,
    pbx: &str,
    client: &ClientId,
    ids: &[(String, Since)],
) -> Result<(), StoreError> {
    let now = jiff::Timestamp::now().as_microsecond();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (id, since) in ids {
        let values = params![pbx, client.as_str(), id, since.seq, since.greater, now];
        transaction.prepare_cached(sql::REMEMBER)?.execute(values)?;
    }
    Ok(transaction.commit()?)
}

fn forget(connection: &Connection, pbx: &str, client: &ClientId) -> Result<(), StoreError> {
    let (before, _) = store::remembered_since();
    let at_once = store::limit(FORGET_AT_ONCE);
    connection
        .prepare_cached(sql::FORGET_OLD)?
        .execute(params![before.as_microsecond(), at_once])?;
    let kept = store::limit(REMEMBERED_IDS);
    connection
        .prepare_cached(sql::FORGET_SURPLUS)?
        .execute(params![pbx, client.as_str(), at_once, kept])?;
    Ok(())
}

pub(super) fn legs_since(
    connection: &Connection,
    pbx: &str,
    since: Since,
    until: i64,
    call_id: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = connection.prepare_cached(sql::legs_since(since.greater))?;
    let (seq, greater, limit) = (since.seq, since.greater, store::limit(limit));
    let mut rows = statement.query(params![pbx, greater, seq, until, call_id, after, limit])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(store::uuid(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(ids)
}
