//! What clients were handed out, and what was stored since.

use deadpool_postgres::{GenericClient as _, Object};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::read::query;
use crate::cdr::cursor::{ClientId, FORGET_AT_ONCE, HandedOut, REMEMBERED_IDS, Resumed};
use crate::cdr::store::{self, sql};
use crate::database::StoreError;

pub(super) async fn resume(
    client: &Object,
    pbx: &str,
    poller: &ClientId,
    call_id: &str,
    late: usize,
) -> Result<Resumed, StoreError> {
    let statement = client.prepare_cached(sql::RESUME).await?;
    let row = client
        .query_one(&statement, &[&pbx, &poller.as_str(), &call_id])
        .await?;
    let (head, since): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let mut until = head;
    if let Some(since) = since {
        let before = store::limit(late.saturating_sub(1));
        let params: [&(dyn ToSql + Sync); 5] = [&pbx, &since, &head, &call_id, &before];
        let last = query(client, sql::LATE_UNTIL, &params).await?;
        if let Some(row) = last.first() {
            until = row.try_get(0)?;
        }
    }
    Ok(Resumed { since, until })
}

/// Those of the ids that have to be written.
pub(super) async fn unknown(
    client: &Object,
    pbx: &str,
    poller: &ClientId,
    handed_out: HandedOut,
) -> Result<Vec<String>, StoreError> {
    let mut ids = store::handed_out(handed_out);
    let (first, last) = (&ids[0], &ids[ids.len() - 1]);
    let (_, recently) = store::remembered_since();
    let params: [&(dyn ToSql + Sync); 6] =
        [&handed_out.until, &recently, &pbx, &poller.as_str(), first, last];
    let rows = query(client, sql::REMEMBERED, &params).await?;
    for row in rows {
        let (known, enough): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        ids.retain(|id| !(enough && *id == known));
    }
    Ok(ids)
}

pub(super) async fn remember(
    client: &mut Object,
    pbx: &str,
    poller: &ClientId,
    call_ids: &[String],
    until: i64,
    forget: bool,
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let transaction = client.transaction().await?;
    let statement = transaction.prepare_cached(sql::REMEMBER).await?;
    for call_id in call_ids {
        transaction
            .execute(&statement, &[&pbx, &poller.as_str(), call_id, &until, &now])
            .await?;
    }
    transaction.commit().await?;
    if forget && let Err(error) = self::forget(client, pbx, poller).await {
        tracing::warn!(%error, "the call ids that clients were handed out long ago are still there");
    }
    Ok(())
}

async fn forget(client: &Object, pbx: &str, poller: &ClientId) -> Result<(), StoreError> {
    let (before, _) = store::remembered_since();
    let at_once = store::limit(FORGET_AT_ONCE);
    query(client, sql::FORGET_OLD, &[&before, &at_once]).await?;
    let kept = store::limit(REMEMBERED_IDS);
    let params: [&(dyn ToSql + Sync); 4] = [&pbx, &poller.as_str(), &at_once, &kept];
    query(client, sql::FORGET_SURPLUS, &params).await?;
    Ok(())
}

pub(super) async fn legs_since(
    client: &Object,
    pbx: &str,
    since: i64,
    until: i64,
    call_id: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let limit = store::limit(limit);
    let params: [&(dyn ToSql + Sync); 6] = [&pbx, &since, &until, &call_id, &after, &limit];
    let rows = query(client, sql::LEGS_SINCE, &params).await?;
    rows.iter().map(|row| store::uuid(row.try_get(0)?)).collect()
}
