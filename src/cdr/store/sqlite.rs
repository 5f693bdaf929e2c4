//! A batch in one transaction of a SQLite file.

use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{
    Connection, OptionalExtension as _, Transaction, TransactionBehavior, params, params_from_iter,
};

use crate::cdr::record::{Cdr, Recording, SourceRow};
use crate::cdr::store::batch::{Batch, Changes};
use crate::cdr::store::plan::{Known, Plan, Stored, Write};
use crate::cdr::store::row::upsert;
use crate::cdr::store::row::uuid;
use crate::cdr::store::sql;
use crate::cdr::value::Kind;
use crate::database::StoreError;

pub(super) mod migrations {
    refinery::embed_migrations!("src/cdr/store/migrations/sqlite");
}

static UPSERT_CDR: LazyLock<String> = LazyLock::new(|| upsert::<Cdr>(&placeholders::<Cdr>()));
static UPSERT_RECORDING: LazyLock<String> =
    LazyLock::new(|| upsert::<Recording>(&placeholders::<Recording>()));

/// `VALUES` for `pbx`, the source's columns and our own five.
fn placeholders<R: SourceRow>() -> String {
    let values: Vec<String> = (1..=R::COLUMNS.len() + 6).map(|n| format!("?{n}")).collect();
    format!("VALUES ({})", values.join(", "))
}

pub(super) fn apply(connection: &mut Connection, pbx: &str, mut batch: Batch) -> Result<Changes, StoreError> {
    // A commit can be lost with the machine's power, with its position: the collector reads it again.
    connection.pragma_update(None, "synchronous", "normal")?;
    // Immediate: the one writer from here on, so what is read here still holds when it is written.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let position = batch.position.take();
    let known = known(&transaction, pbx, &batch)?;
    let plan = Plan::new(batch, &known);
    if plan.seqs > 0 {
        write(&transaction, pbx, &plan)?;
    }
    if let Some(position) = position {
        transaction
            .prepare_cached(sql::SET_POSITION)?
            .execute(params![pbx, position.json()?])?;
    }
    transaction.commit()?;
    Ok(plan.changes)
}

fn known(transaction: &Transaction<'_>, pbx: &str, batch: &Batch) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut stored = transaction.prepare_cached(
        "SELECT source_digest, revision, cdr_id FROM recording WHERE pbx = ?1 AND id_recording = ?2",
    )?;
    for recording in &batch.recordings {
        let number = recording.row.id_recording;
        let found = stored.query_row(params![pbx, number], |row| {
            Ok((digest_and_revision(row)?, row.get::<_, String>(2)?))
        });
        if let Some((stored, leg)) = found.optional()? {
            known.recordings.insert(number, (stored, uuid(&leg)?));
        }
    }
    let mut stored = transaction
        .prepare_cached("SELECT source_digest, revision FROM cdr WHERE pbx = ?1 AND cdr_id = ?2")?;
    for leg in known.legs_of(batch) {
        let found = stored.query_row(params![pbx, leg.to_string()], digest_and_revision);
        if let Some(stored) = found.optional()? {
            known.legs.insert(leg, stored);
        }
    }
    Ok(known)
}

fn digest_and_revision(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        digest: row.get(0)?,
        revision: row.get(1)?,
    })
}

fn write(transaction: &Transaction<'_>, pbx: &str, plan: &Plan) -> Result<(), StoreError> {
    let now = Timestamp::now().as_microsecond();
    let head: i64 = transaction
        .prepare_cached(sql::TAKE_SEQS)?
        .query_row([plan.seqs], |row| row.get(0))?;
    let before = head - plan.seqs;
    let mut statement = transaction.prepare_cached(&UPSERT_CDR)?;
    for cdr in &plan.cdrs {
        statement.execute(params_from_iter(values(pbx, cdr, before, now)))?;
    }
    let mut statement = transaction.prepare_cached(&UPSERT_RECORDING)?;
    for recording in &plan.recordings {
        statement.execute(params_from_iter(values(pbx, recording, before, now)))?;
    }
    let mut statement = transaction.prepare_cached(
        "UPDATE cdr SET seq = ?3, revision = ?4, updated_at = ?5 WHERE pbx = ?1 AND cdr_id = ?2",
    )?;
    for touch in &plan.touched {
        let (leg, seq) = (touch.leg.to_string(), before + touch.seq);
        statement.execute(params![pbx, leg, seq, touch.revision, now])?;
    }
    Ok(())
}

/// The values of [`placeholders`].
fn values<R: SourceRow>(pbx: &str, write: &Write<R>, before: i64, now: i64) -> Vec<Value> {
    let texts = write.row.row.to_texts();
    let mut values = Vec::with_capacity(texts.len() + 6);
    values.push(Value::Text(pbx.to_owned()));
    let columns = R::COLUMNS.iter().zip(texts);
    values.extend(columns.map(|(column, text)| value(column.kind, text)));
    values.push(Value::Text(write.row.source_digest.clone()));
    values.extend([before + write.seq, write.revision, now, now].map(Value::Integer));
    values
}

/// A value as the schema has it, from the source's text for it.
fn value(kind: Kind, text: Option<String>) -> Value {
    let Some(text) = text else { return Value::Null };
    match kind {
        Kind::Id | Kind::Text => Value::Text(text),
        Kind::Flag => Value::Integer((text == "true").into()),
        // The text comes from a number, so it is one; were it not, the STRICT table would refuse the text.
        Kind::Moment | Kind::Integer => text.parse().map_or(Value::Text(text), Value::Integer),
    }
}
