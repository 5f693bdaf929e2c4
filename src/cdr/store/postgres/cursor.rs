//! What clients were handed out, and what was stored since.

use deadpool_postgres::{GenericClient as _, Object};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::read::query;
use crate::cdr::cursor::{ClientId, FORGET_AT_ONCE, HandedOut, REMEMBERED_IDS, Resumed, Since};
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
    let (head, seq): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let greater: Option<i64> = row.try_get(2)?;
    let since = seq.zip(greater).map(|(seq, greater)| Since { seq, greater });
    let mut until = head;
    if let Some(since) = since {
        let before = store::limit(late.saturating_sub(1));
        let params: [&(dyn ToSql + Sync); 5] = [&pbx, &since.seq, &head, &call_id, &before];
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
) -> Result<Vec<(String, Since)>, StoreError> {
    let (_, lately) = store::remembered_since();
    let mut unknown = Vec::new();
    for (id, since) in store::to_remember(handed_out) {
        let params: [&(dyn ToSql + Sync); 4] = [&lately, &pbx, &poller.as_str(), &id];
        let rows = query(client, sql::REMEMBERED, &params).await?;
        let known = match rows.first() {
            Some(row) => store::is_known(since, row.try_get(0)?, row.try_get(1)?),
            None => false,
        };
        if !known {
            unknown.push((id, since));
        }
    }
    Ok(unknown)
}

pub(super) async fn remember(
    client: &mut Object,
    pbx: &str,
    poller: &ClientId,
    ids: &[(String, Since)],
    forget: bool,
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let transaction = client.transaction().await?;
    let statement = transaction.prepare_cached(sql::REMEMBER).await?;
    for (id, since) in ids {
        transaction
            .execute(
                &statement,
                &[&pbx, &poller.as_str(), id, &since.seq, &since.greater, &now],
            )
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
    since: Since,
    until: i64,
    call_id: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let limit = store::limit(limit);
    let (seq, greater) = (since.seq, since.greater);
    let params: [&(dyn ToSql + Sync); 7] = [&pbx, &greater, &seq, &until, &call_id, &after, &limit];
    let rows = query(client, sql::legs_since(greater), &params).await?;
    rows.iter().map(|row| store::uuid(row.try_get(0)?)).collect()
}
