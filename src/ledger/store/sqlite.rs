//! Calls in a SQLite file.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::Serialize;

use crate::call::Call;
use crate::database::{Sqlite, StoreError};

/// In the order in which they are read, and in SQLite written.
pub(super) const COLUMNS: &str = "id, integration, instance, origin, direction, mode, extension, number, \
     external_number, external_name, requested_by, external_id, metadata, state, closed, revision, sent_at, ringing_at, \
     answered_at, bridged_at, ended_at, cause, error, legs";

pub(super) mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/sqlite");
}

pub(super) async fn save(file: &Sqlite, calls: Vec<Arc<Call>>) -> Result<(), StoreError> {
    let write = move |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        save_all(&transaction, &calls)?;
        Ok(transaction.commit()?)
    };
    file.writer.with(write).await
}

fn save_all(transaction: &Transaction<'_>, calls: &[Arc<Call>]) -> rusqlite::Result<()> {
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

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use refinery::Target;
    use rusqlite::params_from_iter;
    use serde_json::json;

    use super::super::calls::filter;
    use super::super::tests::{came_along, of_earlier_schema, settings};
    use super::super::{LedgerStore, MIGRATIONS};
    use super::*;
    use crate::ledger::{SearchCalls, StateFilter};
    use crate::telephony::{Extension, PhoneNumber};

    #[actix_rt::test]
    async fn calls_of_an_earlier_schema_come_along_with_their_legs() {
        for (version, insert) in [
            (2, insert_as_of_version_2 as fn(&Connection, &Call)),
            (4, insert_as_of_version_4),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("mege-ledger.sqlite");
            let calls = of_earlier_schema();
            {
                let mut connection = Connection::open(&file).unwrap();
                let mut earlier = migrations::migrations::runner().set_target(Target::Version(version));
                earlier.set_migration_table_name(MIGRATIONS.history);
                earlier.run(&mut connection).unwrap();
                for call in &calls {
                    insert(&connection, call);
                }
            }
            let store = LedgerStore::open(&settings(folder.path())).await.unwrap();
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
            let (filter, parameters) = filter(&search);
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
