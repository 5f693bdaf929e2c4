//! The ledger in PostgreSQL.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::filter::{Parameter, filter};
use super::{HISTORY, LedgerStore};
use crate::call::{Call, CallId};
use crate::database::{Postgres, Schema, StoreError, schema_of_database};
use crate::ledger::SearchCalls;

mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/postgres");
}

/// One JSON object for each call, as [`Call`] is serialised.
const CALL: &str = "SELECT to_jsonb(c) FROM ledger_call c";

/// The ledger in PostgreSQL.
#[derive(Debug)]
pub(super) struct PostgresLedger(Postgres);

impl PostgresLedger {
    async fn calls(&self, select: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Call>, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let statement = connection.prepare_cached(select).await?;
            let rows = connection.query(&statement, parameters).await?;
            rows.iter().map(read_call).collect()
        };
        self.0.bounded(read).await
    }

    /// How far the database's schema has come.
    pub(super) async fn schema(url: &str, timeout: Duration) -> Result<Schema, StoreError> {
        schema_of_database(url, timeout, migrations::migrations::runner(), HISTORY).await
    }

    pub(super) async fn open(url: &str, size: usize, timeout: Duration) -> Result<Self, StoreError> {
        let database = Postgres::new(url, size, timeout)?;
        database
            .migrate(migrations::migrations::runner(), HISTORY)
            .await?;
        Ok(Self(database))
    }
}

#[async_trait]
impl LedgerStore for PostgresLedger {
    async fn save(&self, calls: Vec<Arc<Call>>) -> Result<(), StoreError> {
        self.0
            .bounded(async { save(&self.0.get().await?, &calls).await })
            .await
    }

    async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        let found = self.calls(&format!("{CALL} WHERE c.id = $1"), &[&id.0]).await;
        found.map(|mut calls| calls.pop())
    }

    async fn open_calls(
        &self,
        integration: &str,
        host: &str,
        provisional: &str,
    ) -> Result<Vec<Call>, StoreError> {
        let open = format!(
            "{CALL} WHERE c.integration = $1 AND NOT c.closed \
             AND c.instance IN (SELECT id FROM ledger_instance WHERE host = $2 UNION SELECT $3) ORDER BY c.id"
        );
        self.calls(&open, &[&integration, &host, &provisional]).await
    }

    async fn search(&self, search: &SearchCalls) -> Result<Vec<Call>, StoreError> {
        let (filter, parameters) = filter(search, '$');
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Text(text) => text as &(dyn ToSql + Sync),
                Parameter::Id(id) => &id.0,
            })
            .collect();
        self.calls(&format!("{CALL}{filter}"), &parameters).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0
            .bounded(async { Ok(self.0.get().await?.batch_execute("SELECT 1").await?) })
            .await
    }

    async fn instance(&self, host: &str, proposal: &str) -> Result<String, StoreError> {
        let settle = async {
            let connection = self.0.get().await?;
            connection
                .execute(
                    "INSERT INTO ledger_instance (host, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    &[&host, &proposal],
                )
                .await?;
            let row = connection
                .query_one("SELECT id FROM ledger_instance WHERE host = $1", &[&host])
                .await?;
            Ok(row.try_get(0)?)
        };
        self.0.bounded(settle).await
    }
}

async fn save(connection: &Object, calls: &[Arc<Call>]) -> Result<(), StoreError> {
    let statement = connection
        .prepare_cached(
            "INSERT INTO ledger_call SELECT * FROM jsonb_populate_recordset(NULL::ledger_call, $1) \
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, \
             revision = excluded.revision, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, \
             bridged_at = excluded.bridged_at, ended_at = excluded.ended_at, cause = excluded.cause, \
             error = excluded.error, legs = excluded.legs \
             WHERE excluded.revision > ledger_call.revision",
        )
        .await?;
    connection.execute(&statement, &[&Json(calls)]).await?;
    Ok(())
}

fn read_call(row: &Row) -> Result<Call, StoreError> {
    let Json(call) = row
        .try_get::<_, Json<Call>>(0)
        .map_err(|_| StoreError::Decode("a call".to_owned()))?;
    Ok(call)
}

#[cfg(test)]
#[cfg(feature = "peers")]
mod tests {
    use refinery::Target;
    use serde_json::{Value, json};

    use super::super::tests::{bridged, came_along, of_earlier_schema};
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[actix_rt::test]
    async fn calls_of_an_earlier_schema_come_along_with_their_legs() {
        let url = crate::database::testing::fresh_database().await;
        let calls = of_earlier_schema();
        let database = Postgres::new(&url, 1, TIMEOUT).unwrap();
        let earlier = migrations::migrations::runner().set_target(Target::Version(3));
        database.migrate(earlier, HISTORY).await.unwrap();
        for call in &calls {
            insert_as_of_version_3(&database, call).await;
        }
        let store = PostgresLedger::open(&url, 1, TIMEOUT).await.unwrap();
        came_along(&store, calls).await;
    }

    /// What the gateway of version 4 wrote, as it was there.
    const SAVE_OF_VERSION_4: &str = "INSERT INTO ledger_call SELECT * FROM jsonb_populate_recordset(NULL::ledger_call, $1) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, \
         revision = excluded.revision, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, \
         bridged_at = excluded.bridged_at, ended_at = excluded.ended_at, cause = excluded.cause, \
         error = excluded.error, legs = excluded.legs \
         WHERE excluded.revision > ledger_call.revision";

    /// A call as version 4 knew it.
    fn as_of_version_4(call: &Call) -> Value {
        let mut call = json!(call);
        let columns = call.as_object_mut().unwrap();
        for later in [
            "origin",
            "direction",
            "mode",
            "external_number",
            "external_name",
            "requested_by",
            "external_id",
            "metadata",
        ] {
            columns.remove(later).unwrap();
        }
        for leg in columns["legs"].as_array_mut().unwrap() {
            leg.as_object_mut().unwrap().remove("ringing_at").unwrap();
        }
        call
    }

    #[actix_rt::test]
    async fn a_gateway_of_an_earlier_version_beside_this_one_goes_on() {
        let url = crate::database::testing::fresh_database().await;
        let database = Postgres::new(&url, 1, TIMEOUT).unwrap();
        let earlier = migrations::migrations::runner().set_target(Target::Version(4));
        database.migrate(earlier, HISTORY).await.unwrap();
        let connection = database.get().await.unwrap();
        let save = connection.prepare(SAVE_OF_VERSION_4).await.unwrap();
        let [mut before, after] = of_earlier_schema();
        let save = async |call: &Call| {
            let calls = Json(json!([as_of_version_4(call)]));
            connection.execute(&save, &[&calls]).await.unwrap();
        };
        save(&before).await;
        let store = PostgresLedger::open(&url, 1, TIMEOUT).await.unwrap();
        before.revision += 1;
        for call in [&before, &after] {
            save(call).await;
        }
        came_along(&store, [before.clone(), after]).await;
        // It sees of a call of this version what it knows.
        let select = "SELECT to_jsonb(c) FROM ledger_call c WHERE id = $1";
        let row = connection.query_one(select, &[&before.id.0]).await.unwrap();
        let Json(seen) = row.get::<_, Json<Value>>(0);
        assert_eq!(seen["number"], "79102223311");
        assert_eq!(seen["sent_at"], "2026-11-22T10:00:00.123456+00:00");
    }

    #[actix_rt::test]
    async fn a_call_is_not_refused_for_a_schema_that_is_not_ours() {
        let url = crate::database::testing::fresh_database().await;
        let store = PostgresLedger::open(&url, 1, TIMEOUT).await.unwrap();
        let database = Postgres::new(&url, 1, TIMEOUT).unwrap();
        let execute = async |sql| database.get().await.unwrap().batch_execute(sql).await.unwrap();
        let call = Arc::new(bridged());
        let save = async || store.save(vec![Arc::clone(&call)]).await;
        for (sql, back) in [
            (
                "ALTER TABLE ledger_call RENAME TO elsewhere",
                "ALTER TABLE elsewhere RENAME TO ledger_call",
            ),
            (
                "ALTER TABLE ledger_call RENAME revision TO version",
                "ALTER TABLE ledger_call RENAME version TO revision",
            ),
        ] {
            execute(sql).await;
            let saved = save().await;
            assert!(
                matches!(saved, Err(StoreError::Unavailable(_))),
                "{sql}: {saved:?}"
            );
            execute(back).await;
        }
        assert_eq!(save().await, Ok(()));
        assert_eq!(store.call(call.id).await.unwrap().as_ref(), Some(&*call));
    }

    async fn insert_as_of_version_3(database: &Postgres, call: &Call) {
        let connection = database.get().await.unwrap();
        let insert = "INSERT INTO ledger_call SELECT * FROM jsonb_populate_record(NULL::ledger_call, $1)";
        connection.execute(insert, &[&Json(call)]).await.unwrap();
        // The last first: their order is that of their positions.
        for (position, leg) in call.legs.iter().enumerate().rev() {
            let mut leg = json!(leg);
            leg["call_id"] = json!(call.id);
            leg["position"] = json!(position);
            let insert = "INSERT INTO ledger_leg SELECT * FROM jsonb_populate_record(NULL::ledger_leg, $1)";
            connection.execute(insert, &[&Json(leg)]).await.unwrap();
        }
    }
}
