//! Calls in a PostgreSQL database.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio_postgres::types::Json;

use crate::call::Call;
use crate::database::{Postgres, StoreError};

pub(super) mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/postgres");
}

pub(super) async fn save(database: &Postgres, calls: Vec<Arc<Call>>) -> Result<(), StoreError> {
    database
        .bounded(async { save_all(&database.get().await?, &calls).await })
        .await
}

async fn save_all(connection: &Object, calls: &[Arc<Call>]) -> Result<(), StoreError> {
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

#[cfg(test)]
#[cfg(feature = "peers")]
mod tests {
    use std::time::Duration;

    use refinery::Target;
    use serde_json::{Value, json};

    use super::super::tests::{bridged, came_along, of_earlier_schema, settings_of};
    use super::super::{LedgerStore, MIGRATIONS};
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[actix_rt::test]
    async fn calls_of_an_earlier_schema_come_along_with_their_legs() {
        let url = crate::database::testing::fresh_database().await;
        let calls = of_earlier_schema();
        let database = Postgres::new(&url, 1, TIMEOUT).unwrap();
        let earlier = migrations::migrations::runner().set_target(Target::Version(3));
        database.migrate(earlier, MIGRATIONS.history).await.unwrap();
        for call in &calls {
            insert_as_of_version_3(&database, call).await;
        }
        let store = LedgerStore::open(&settings_of(&url)).await.unwrap();
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
        database.migrate(earlier, MIGRATIONS.history).await.unwrap();
        let connection = database.get().await.unwrap();
        let save = connection.prepare(SAVE_OF_VERSION_4).await.unwrap();
        let [mut before, after] = of_earlier_schema();
        let save = async |call: &Call| {
            let calls = Json(json!([as_of_version_4(call)]));
            connection.execute(&save, &[&calls]).await.unwrap();
        };
        save(&before).await;
        let store = LedgerStore::open(&settings_of(&url)).await.unwrap();
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
        let store = LedgerStore::open(&settings_of(&url)).await.unwrap();
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
