//! The ledger in a SQLite file.

mod keys;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{HISTORY, LedgerStore};
use crate::call::{Call, CallId, CallState};
use crate::database::{Connections, Schema, StoreError, schema_of_file};
use crate::telephony::HangupCause;

mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/sqlite");
}

const CALL: &str = "SELECT id, integration, extension, number, state, closed, revision, sent_at, ringing_at, \
                    answered_at, bridged_at, ended_at, cause, error, instance, legs FROM ledger_call";

/// The ledger in a SQLite file: one connection that writes, several that only read.
#[derive(Debug)]
pub(super) struct SqliteLedger {
    writer: Connections,
    readers: Connections,
}

impl SqliteLedger {
    /// How far the file's schema has come.
    pub(super) async fn schema(path: &Path, timeout: Duration) -> Result<Schema, StoreError> {
        schema_of_file(path, timeout, migrations::migrations::runner(), HISTORY).await
    }

    pub(super) async fn open(path: &Path, readers: usize, timeout: Duration) -> Result<Self, StoreError> {
        let writer = Connections::new(path, 1, timeout, |connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            // Each commit reaches the disk: what happened to a call cannot be had again.
            connection.pragma_update(None, "synchronous", "full")
        });
        writer.migrate(migrations::migrations::runner(), HISTORY).await?;
        let readers = Connections::new(path, readers, timeout, |connection| {
            connection.pragma_update(None, "query_only", true)
        });
        Ok(Self { writer, readers })
    }
}

#[async_trait]
impl LedgerStore for SqliteLedger {
    async fn save(&self, calls: Vec<Arc<Call>>) -> Result<(), StoreError> {
        let write = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            save(&transaction, &calls)?;
            Ok(transaction.commit()?)
        };
        self.writer.with(write).await
    }

    async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        let read = move |connection: &mut Connection| {
            Ok(connection
                .prepare_cached(&format!("{CALL} WHERE id = ?1"))?
                .query_row([id.to_string()], read_call)
                .optional()?)
        };
        self.readers.with(read).await
    }

    async fn open_calls(&self, integration: &str, instance: &str) -> Result<Vec<Call>, StoreError> {
        let key = [integration.to_owned(), instance.to_owned()];
        let read = move |connection: &mut Connection| {
            Ok(connection
                .prepare_cached(&format!(
                    "{CALL} WHERE integration = ?1 AND instance = ?2 AND NOT closed ORDER BY id"
                ))?
                .query_map(key, read_call)?
                .collect::<rusqlite::Result<_>>()?)
        };
        self.readers.with(read).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer
            .with(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
            .await
    }

    async fn instance(&self, host: &str, proposal: &str) -> Result<String, StoreError> {
        let (host, proposal) = (host.to_owned(), proposal.to_owned());
        let write = move |connection: &mut Connection| {
            connection.execute(
                "INSERT INTO ledger_instance (host, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                [&host, &proposal],
            )?;
            let select = "SELECT id FROM ledger_instance WHERE host = ?1";
            Ok(connection.query_row(select, [&host], |row| row.get(0))?)
        };
        self.writer.with(write).await
    }
}

fn save(transaction: &Transaction<'_>, calls: &[Arc<Call>]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO ledger_call (id, integration, extension, number, state, closed, revision, sent_at, \
         ringing_at, answered_at, bridged_at, ended_at, cause, error, instance, legs) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, \
         revision = excluded.revision, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, \
         bridged_at = excluded.bridged_at, ended_at = excluded.ended_at, cause = excluded.cause, \
         error = excluded.error, legs = excluded.legs \
         WHERE excluded.revision > ledger_call.revision",
    )?;
    for call in calls {
        let legs = serde_json::to_string(&call.legs)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        statement.execute(params![
            call.id.to_string(),
            call.integration,
            call.extension,
            call.number,
            call.state.as_str(),
            call.closed,
            call.revision,
            call.sent_at.as_microsecond(),
            micros(call.ringing_at),
            micros(call.answered_at),
            micros(call.bridged_at),
            micros(call.ended_at),
            call.cause.map(|cause| cause.0),
            call.error,
            call.instance,
            legs,
        ])?;
    }
    Ok(())
}

fn read_call(row: &Row<'_>) -> rusqlite::Result<Call> {
    let id: String = row.get(0)?;
    let state: String = row.get(4)?;
    let legs: String = row.get(15)?;
    Ok(Call {
        id: CallId(Uuid::try_parse(&id).map_err(|error| nonsense(0, error))?),
        integration: row.get(1)?,
        instance: row.get(14)?,
        extension: row.get(2)?,
        number: row.get(3)?,
        state: CallState::from_name(&state).ok_or_else(|| nonsense(4, "a state unknown to this version"))?,
        closed: row.get(5)?,
        revision: row.get(6)?,
        sent_at: moment(row, 7)?.ok_or_else(|| nonsense(7, "no moment"))?,
        ringing_at: moment(row, 8)?,
        answered_at: moment(row, 9)?,
        bridged_at: moment(row, 10)?,
        ended_at: moment(row, 11)?,
        cause: row.get::<_, Option<u16>>(12)?.map(HangupCause),
        error: row.get(13)?,
        legs: serde_json::from_str(&legs).map_err(|error| nonsense(15, error))?,
    })
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?
        .map(|micros| Timestamp::from_microsecond(micros).map_err(|error| nonsense(column, error)))
        .transpose()
}

fn nonsense(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

#[cfg(test)]
mod tests {
    use refinery::Target;

    use super::super::tests::{came_along, of_earlier_schema};
    use super::*;

    #[actix_rt::test]
    async fn calls_of_an_earlier_schema_come_along_with_their_legs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.sqlite");
        let calls = of_earlier_schema();
        {
            let mut connection = Connection::open(&file).unwrap();
            let mut earlier = migrations::migrations::runner().set_target(Target::Version(2));
            earlier.set_migration_table_name(HISTORY);
            earlier.run(&mut connection).unwrap();
            for call in &calls {
                insert_as_of_version_2(&connection, call);
            }
        }
        let store = SqliteLedger::open(&file, 1, Duration::from_secs(5))
            .await
            .unwrap();
        came_along(&store, calls).await;
    }

    fn insert_as_of_version_2(connection: &Connection, call: &Call) {
        connection
            .execute(
                "INSERT INTO ledger_call VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                params![
                    call.id.to_string(),
                    call.integration,
                    call.instance,
                    call.extension,
                    call.number,
                    call.state.as_str(),
                    call.closed,
                    call.revision,
                    call.sent_at.as_microsecond(),
                    micros(call.ringing_at),
                    micros(call.answered_at),
                    micros(call.bridged_at),
                    micros(call.ended_at),
                    call.cause.map(|cause| cause.0),
                    call.error,
                ],
            )
            .unwrap();
        // The last first: their order is that of their positions.
        for (position, leg) in (0_i32..2).zip(&call.legs).rev() {
            connection
                .execute(
                    "INSERT INTO ledger_leg VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        call.id.to_string(),
                        position,
                        leg.channel_id,
                        leg.name,
                        leg.created_at.as_microsecond(),
                        micros(leg.answered_at),
                        micros(leg.ended_at),
                        leg.cause.map(|cause| cause.0),
                    ],
                )
                .unwrap();
        }
    }
}
