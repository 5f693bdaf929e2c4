//! A batch in one transaction of a PostgreSQL database, in few round trips whatever its size.

use std::sync::LazyLock;

use deadpool_postgres::{GenericClient as _, Object, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row as PgRow;
use tokio_postgres::types::ToSql;

use crate::cdr::record::{Cdr, Recording, SourceRow};
use crate::cdr::store::batch::{Batch, Changes};
use crate::cdr::store::plan::{Known, Plan, Stored, Touch, Write};
use crate::cdr::store::row::upsert;
use crate::cdr::store::row::uuid;
use crate::cdr::store::sql;
use crate::cdr::value::{Kind, Value};
use crate::database::StoreError;

pub(super) mod migrations {
    refinery::embed_migrations!("src/cdr/store/migrations/postgres");
}

static UPSERT_CDR: LazyLock<String> = LazyLock::new(|| upsert::<Cdr>(&unnest::<Cdr>()));
static UPSERT_RECORDING: LazyLock<String> = LazyLock::new(|| upsert::<Recording>(&unnest::<Recording>()));

/// One writer for each 3CX: what it read of its rows still holds when it writes. Writers of different ones meet only
/// at `feed_head`, from the seqs to the commit. The first number ("mege" in ASCII) keeps clear of others'
/// advisory locks.
const LOCK_PBX: &str = "SELECT pg_advisory_xact_lock(1835362149, hashtext($1))";

const STORED_RECORDINGS: &str = "SELECT id_recording, source_digest, revision, cdr_id FROM recording \
     WHERE pbx = $1 AND id_recording = ANY($2)";

const STORED_LEGS: &str =
    "SELECT cdr_id, source_digest, revision FROM cdr WHERE pbx = $1 AND cdr_id = ANY($2)";

const TOUCH: &str = "UPDATE cdr SET seq = touch.seq, revision = touch.revision, updated_at = $5 \
     FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS touch (cdr_id, seq, revision) \
     WHERE cdr.pbx = $1 AND cdr.cdr_id = touch.cdr_id";

type Param = Box<dyn ToSql + Sync + Send>;

/// `SELECT` of `pbx`, the source's columns and our own five from arrays.
fn unnest<R: SourceRow>() -> String {
    let kinds = R::COLUMNS.iter().map(|column| match column.kind {
        Kind::Id | Kind::Text => "text",
        Kind::Flag => "boolean",
        Kind::Moment => "timestamptz",
        Kind::Integer => "bigint",
    });
    let arrays: Vec<String> = kinds
        .chain(["text", "bigint", "bigint"])
        .enumerate()
        .map(|(index, kind)| format!("${}::{kind}[]", index + 2))
        .collect();
    let now = arrays.len() + 2;
    format!(
        "SELECT $1, arrays.*, ${now}::timestamptz, ${now}::timestamptz FROM unnest({}) AS arrays",
        arrays.join(", ")
    )
}

pub(super) async fn apply(client: &mut Object, pbx: &str, mut batch: Batch) -> Result<Changes, StoreError> {
    let transaction = client.transaction().await?;
    query(&transaction, LOCK_PBX, &[&pbx]).await?;
    let position = batch.position.take();
    let known = known(&transaction, pbx, &batch).await?;
    let plan = Plan::new(batch, &known);
    if plan.seqs > 0 {
        write(&transaction, pbx, &plan).await?;
    }
    if let Some(position) = position {
        query(&transaction, sql::SET_POSITION, &[&pbx, &position.json()?]).await?;
    }
    transaction.commit().await?;
    Ok(plan.changes)
}

async fn query(
    transaction: &Transaction<'_>,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<PgRow>, StoreError> {
    let statement = transaction.prepare_cached(sql).await?;
    Ok(transaction.query(&statement, params).await?)
}

async fn known(transaction: &Transaction<'_>, pbx: &str, batch: &Batch) -> Result<Known, StoreError> {
    let mut known = Known::default();
    if !batch.recordings.is_empty() {
        let numbers: Vec<i64> = batch
            .recordings
            .iter()
            .map(|recording| recording.row.id_recording)
            .collect();
        for row in query(transaction, STORED_RECORDINGS, &[&pbx, &numbers]).await? {
            let leg = uuid(row.try_get(3)?)?;
            known
                .recordings
                .insert(row.try_get(0)?, (digest_and_revision(&row)?, leg));
        }
    }
    let legs: Vec<String> = known
        .legs_of(batch)
        .into_iter()
        .map(|leg| leg.to_string())
        .collect();
    for row in query(transaction, STORED_LEGS, &[&pbx, &legs]).await? {
        known
            .legs
            .insert(uuid(row.try_get(0)?)?, digest_and_revision(&row)?);
    }
    Ok(known)
}

fn digest_and_revision(row: &PgRow) -> Result<Stored, StoreError> {
    Ok(Stored {
        digest: row.try_get(1)?,
        revision: row.try_get(2)?,
    })
}

async fn write(transaction: &Transaction<'_>, pbx: &str, plan: &Plan) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let statement = transaction.prepare_cached(sql::TAKE_SEQS).await?;
    let head: i64 = transaction
        .query_one(&statement, &[&plan.seqs])
        .await?
        .try_get(0)?;
    let before = head - plan.seqs;
    upsert_all(transaction, &UPSERT_CDR, pbx, &plan.cdrs, before, now).await?;
    upsert_all(transaction, &UPSERT_RECORDING, pbx, &plan.recordings, before, now).await?;
    if !plan.touched.is_empty() {
        let column = |value: fn(&Touch) -> i64| plan.touched.iter().map(value).collect::<Vec<i64>>();
        let legs: Vec<String> = plan.touched.iter().map(|touch| touch.leg.to_string()).collect();
        let seqs: Vec<i64> = plan.touched.iter().map(|touch| before + touch.seq).collect();
        let revisions = column(|touch| touch.revision);
        query(transaction, TOUCH, &[&pbx, &legs, &seqs, &revisions, &now]).await?;
    }
    Ok(())
}

async fn upsert_all<R: SourceRow>(
    transaction: &Transaction<'_>,
    sql: &str,
    pbx: &str,
    writes: &[Write<R>],
    before: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(writes.len()); R::COLUMNS.len()];
    for write in writes {
        for (column, text) in columns.iter_mut().zip(write.row.row.to_texts()) {
            column.push(text);
        }
    }
    let mut params: Vec<Param> = vec![Box::new(pbx.to_owned())];
    let kinds = R::COLUMNS.iter().map(|column| column.kind);
    params.extend(kinds.zip(columns).map(|(kind, texts)| array(kind, texts)));
    let digests = writes.iter().map(|write| write.row.source_digest.clone());
    params.push(Box::new(digests.collect::<Vec<String>>()));
    let seqs = writes.iter().map(|write| before + write.seq);
    params.push(Box::new(seqs.collect::<Vec<i64>>()));
    let revisions = writes.iter().map(|write| write.revision);
    params.push(Box::new(revisions.collect::<Vec<i64>>()));
    params.push(Box::new(now));
    let params: Vec<&(dyn ToSql + Sync)> = params
        .iter()
        .map(|param| param.as_ref() as &(dyn ToSql + Sync))
        .collect();
    query(transaction, sql, &params).await?;
    Ok(())
}

/// A column's values as the schema has them, from the source's texts for them.
fn array(kind: Kind, texts: Vec<Option<String>>) -> Param {
    match kind {
        Kind::Id | Kind::Text => Box::new(texts),
        Kind::Flag => Box::new(parsed::<bool>(texts)),
        Kind::Moment => Box::new(parsed::<Timestamp>(texts)),
        Kind::Integer => Box::new(parsed::<i64>(texts)),
    }
}

/// The texts come from values of this type, so each is one.
fn parsed<T: Value>(texts: Vec<Option<String>>) -> Vec<Option<T>> {
    texts.into_iter().map(T::from_text).collect()
}
