//! The ledger in a SQLite file.

mod keys;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::filter::{Parameter, filter};
use super::{HISTORY, LedgerStore};
use crate::call::{Call, CallId, CallState, Direction, Mode, Origin};
use crate::database::{Connections, Schema, StoreError, schema_of_file};
use crate::ledger::SearchCalls;
use crate::telephony::HangupCause;

mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/sqlite");
}

/// In the order in which they are written and read.
const COLUMNS: &str = "id, integration, instance, origin, direction, mode, extension, number, external_number, \
                       external_name, requested_by, external_id, metadata, state, closed, revision, sent_at, \
                       ringing_at, answered_at, bridged_at, ended_at, cause, error, legs";

/// The ledger in a SQLite file: one connection that writes, several that only read.
#[derive(Debug)]
pub(super) struct SqliteLedger {
    writer: Connections,
    readers: Connections,
}

impl SqliteLedger {
    /// Calls, where this comes after the name of their table.
    async fn calls(&self, rest: String, parameters: Vec<String>) -> Result<Vec<Call>, StoreError> {
        let read = move |connection: &mut Connection| {
            Ok(connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM ledger_call{rest}"))?
                .query_map(params_from_iter(parameters), read_call)?
                .collect::<rusqlite::Result<_>>()?)
        };
        self.readers.with(read).await
    }

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
        let found = self
            .calls(" WHERE id = ?1".to_owned(), vec![id.to_string()])
            .await;
        found.map(|mut calls| calls.pop())
    }

    async fn open_calls(
        &self,
        integration: &str,
        host: &str,
        provisional: &str,
    ) -> Result<Vec<Call>, StoreError> {
        let open = " WHERE integration = ?1 AND NOT closed \
                    AND instance IN (SELECT id FROM ledger_instance WHERE host = ?2 UNION SELECT ?3) ORDER BY id";
        let parameters = [integration, host, provisional].map(str::to_owned);
        self.calls(open.to_owned(), parameters.into()).await
    }

    async fn search(&self, search: &SearchCalls) -> Result<Vec<Call>, StoreError> {
        let (filter, parameters) = filter(search, '?');
        let parameters = parameters.into_iter().map(|parameter| match parameter {
            Parameter::Text(text) => text,
            Parameter::Id(id) => id.to_string(),
        });
        self.calls(filter, parameters.collect()).await
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
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO ledger_call ({COLUMNS}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
         ?23, ?24) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, \
         revision = excluded.revision, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, \
         bridged_at = excluded.bridged_at, ended_at = excluded.ended_at, cause = excluded.cause, \
         error = excluded.error, legs = excluded.legs \
         WHERE excluded.revision > ledger_call.revision"
    ))?;
    for call in calls {
        let metadata = Some(&call.metadata).filter(|metadata| !metadata.is_empty());
        statement.execute(params![
            call.id.to_string(),
            call.integration,
            call.instance,
            call.origin.as_str(),
            call.direction.as_str(),
            call.mode.as_str(),
            call.extension,
            call.number,
            call.external_number,
            call.external_name,
            call.requested_by.as_ref().map(json).transpose()?,
            call.external_id,
            metadata.map(json).transpose()?,
            call.state.as_str(),
            call.closed,
            call.revision,
            call.created_at.as_microsecond(),
            micros(call.ringing_at),
            micros(call.answered_at),
            micros(call.bridged_at),
            micros(call.ended_at),
            call.cause.map(|cause| cause.0),
            call.error,
            json(&call.legs)?,
        ])?;
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn read_call(row: &Row<'_>) -> rusqlite::Result<Call> {
    let id: String = row.get(0)?;
    Ok(Call {
        id: CallId(Uuid::try_parse(&id).map_err(|error| nonsense(0, error))?),
        integration: row.get(1)?,
        instance: row.get(2)?,
        origin: word(row, 3, Origin::parse)?.unwrap_or_default(),
        direction: word(row, 4, Direction::parse)?.unwrap_or_default(),
        mode: word(row, 5, Mode::parse)?.unwrap_or_default(),
        extension: row.get(6)?,
        number: row.get(7)?,
        external_number: row.get(8)?,
        external_name: row.get(9)?,
        requested_by: from_json(row, 10)?,
        external_id: row.get(11)?,
        metadata: from_json(row, 12)?.unwrap_or_default(),
        state: word(row, 13, CallState::parse)?.ok_or_else(|| nonsense(13, "no state"))?,
        closed: row.get(14)?,
        revision: row.get(15)?,
        created_at: moment(row, 16)?.ok_or_else(|| nonsense(16, "no moment"))?,
        ringing_at: moment(row, 17)?,
        answered_at: moment(row, 18)?,
        bridged_at: moment(row, 19)?,
        ended_at: moment(row, 20)?,
        cause: row.get::<_, Option<u16>>(21)?.map(HangupCause),
        error: row.get(22)?,
        legs: from_json(row, 23)?.unwrap_or_default(),
    })
}

fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    let word: Option<String> = row.get(column)?;
    let value =
        word.map(|word| parse(&word).ok_or_else(|| nonsense(column, "a word unknown to this version")));
    value.transpose()
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let value = text.map(|text| serde_json::from_str(&text).map_err(|error| nonsense(column, error)));
    value.transpose()
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
    use serde_json::json;

    use super::super::tests::{came_along, of_earlier_schema};
    use super::*;
    use crate::ledger::StateFilter;
    use crate::telephony::{Extension, PhoneNumber};

    #[actix_rt::test]
    async fn calls_of_an_earlier_schema_come_along_with_their_legs() {
        for (version, insert) in [
            (2, insert_as_of_version_2 as fn(&Connection, &Call)),
            (4, insert_as_of_version_4),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("ledger.sqlite");
            let calls = of_earlier_schema();
            {
                let mut connection = Connection::open(&file).unwrap();
                let mut earlier = migrations::migrations::runner().set_target(Target::Version(version));
                earlier.set_migration_table_name(HISTORY);
                earlier.run(&mut connection).unwrap();
                for call in &calls {
                    insert(&connection, call);
                }
            }
            let store = SqliteLedger::open(&file, 1, Duration::from_secs(5))
                .await
                .unwrap();
            came_along(&store, calls).await;
        }
    }

    #[test]
    fn what_calls_are_looked_for_by_does_not_read_all_of_them() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrations::runner().run(&mut connection).unwrap();
        let search = || SearchCalls {
            limit: 100,
            ..SearchCalls::default()
        };
        for (search, index) in [
            (
                SearchCalls {
                    extension: Some(Extension::parse("102", None).unwrap()),
                    ..search()
                },
                "INDEX ledger_call_extension (extension=?",
            ),
            (
                SearchCalls {
                    number: Some(PhoneNumber::parse("79102223311").unwrap()),
                    ..search()
                },
                "INDEX ledger_call_number (number=?",
            ),
            (
                SearchCalls {
                    external_id: Some("lead-17".to_owned()),
                    ..search()
                },
                "INDEX ledger_call_external_id (external_id=?",
            ),
            (
                SearchCalls {
                    state: Some(StateFilter::Live),
                    ..search()
                },
                "INDEX ledger_call_open",
            ),
            (search(), "SCAN ledger_call"),
        ] {
            let search = SearchCalls {
                integrations: Some(vec!["asterisk.main".to_owned(), "asterisk.branch".to_owned()]),
                ..search
            };
            let (filter, parameters) = filter(&search, '?');
            let plan = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM ledger_call{filter}");
            let parameters = parameters.iter().map(|_| "");
            let mut statement = connection.prepare(&plan).unwrap();
            let plan = statement.query_map(params_from_iter(parameters), |row| row.get(3));
            let plan: Vec<String> = plan.unwrap().map(Result::unwrap).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{index}: {plan:?}");
        }
    }

    fn insert_as_of_version_4(connection: &Connection, call: &Call) {
        insert_row(connection, call);
        let mut legs = json!(call.legs);
        for leg in legs.as_array_mut().unwrap() {
            leg.as_object_mut().unwrap().remove("ringing_at").unwrap();
        }
        connection
            .execute(
                "UPDATE ledger_call SET legs = ?1 WHERE id = ?2",
                params![legs.to_string(), call.id.to_string()],
            )
            .unwrap();
    }

    fn insert_as_of_version_2(connection: &Connection, call: &Call) {
        insert_row(connection, call);
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

    /// A call without its legs, as it was before version 5.
    fn insert_row(connection: &Connection, call: &Call) {
        connection
            .execute(
                "INSERT INTO ledger_call (id, integration, instance, extension, number, state, closed, revision, sent_at, \
                 ringing_at, answered_at, bridged_at, ended_at, cause, error) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                params![
                    call.id.to_string(),
                    call.integration,
                    call.instance,
                    call.extension,
                    call.number,
                    call.state.as_str(),
                    call.closed,
                    call.revision,
                    call.created_at.as_microsecond(),
                    micros(call.ringing_at),
                    micros(call.answered_at),
                    micros(call.bridged_at),
                    micros(call.ended_at),
                    call.cause.map(|cause| cause.0),
                    call.error,
                ],
            )
            .unwrap();
    }
}
