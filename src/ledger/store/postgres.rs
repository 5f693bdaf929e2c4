//! The ledger in PostgreSQL.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{HISTORY, LedgerStore};
use crate::database::{Postgres, Schema, StoreError, schema_of_database};
use crate::ledger::call::{Call, CallId};

mod migrations {
    refinery::embed_migrations!("src/ledger/store/migrations/postgres");
}

/// One JSON object for each call, as [`Call`] is serialised: the legs come with it.
const CALL: &str = "SELECT to_jsonb(c) || jsonb_build_object('legs', coalesce( \
                    (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.position) FROM ledger_leg l WHERE l.call_id = c.id), \
                    '[]')) FROM ledger_call c";

/// The ledger in PostgreSQL.
#[derive(Debug)]
pub(super) struct PostgresLedger(Postgres);

impl PostgresLedger {
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
            .bounded(async { save(&mut self.0.get().await?, &calls).await })
            .await
    }

    async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let statement = connection
                .prepare_cached(&format!("{CALL} WHERE c.id = $1"))
                .await?;
            connection
                .query_opt(&statement, &[&id.0])
                .await?
                .as_ref()
                .map(read_call)
                .transpose()
        };
        self.0.bounded(read).await
    }

    async fn open_calls(&self, integration: &str, instance: &str) -> Result<Vec<Call>, StoreError> {
        let read = async {
            let connection = self.0.get().await?;
            let statement = connection
                .prepare_cached(&format!(
                    "{CALL} WHERE c.integration = $1 AND c.instance = $2 AND NOT c.closed ORDER BY c.id"
                ))
                .await?;
            connection
                .query(&statement, &[&integration, &instance])
                .await?
                .iter()
                .map(read_call)
                .collect()
        };
        self.0.bounded(read).await
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

async fn save(connection: &mut Object, calls: &[Arc<Call>]) -> Result<(), StoreError> {
    let transaction = connection.transaction().await?;
    let statement = transaction
        .prepare_cached(
            "INSERT INTO ledger_call SELECT * FROM jsonb_populate_recordset(NULL::ledger_call, $1) \
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, closed = excluded.closed, \
             revision = excluded.revision, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at, \
             bridged_at = excluded.bridged_at, ended_at = excluded.ended_at, cause = excluded.cause, \
             error = excluded.error \
             WHERE excluded.revision > ledger_call.revision \
             RETURNING id",
        )
        .await?;
    let changed: Vec<CallId> = transaction
        .query(&statement, &[&Json(calls)])
        .await?
        .iter()
        .map(|row| CallId(row.get(0)))
        .collect();
    let ids: Vec<_> = changed.iter().map(|id| id.0).collect();
    let statement = transaction
        .prepare_cached("DELETE FROM ledger_leg WHERE call_id = ANY($1)")
        .await?;
    transaction.execute(&statement, &[&ids]).await?;
    let legs: Vec<Value> = calls
        .iter()
        .filter(|call| changed.contains(&call.id))
        .flat_map(|call| legs(call))
        .collect();
    let statement = transaction
        .prepare_cached("INSERT INTO ledger_leg SELECT * FROM jsonb_populate_recordset(NULL::ledger_leg, $1)")
        .await?;
    transaction.execute(&statement, &[&Json(legs)]).await?;
    Ok(transaction.commit().await?)
}

fn legs(call: &Call) -> impl Iterator<Item = Value> {
    call.legs.iter().enumerate().map(|(position, leg)| {
        json!({
            "call_id": call.id,
            "position": position,
            "channel_id": leg.channel_id,
            "name": leg.name,
            "created_at": leg.created_at,
            "answered_at": leg.answered_at,
            "ended_at": leg.ended_at,
            "cause": leg.cause,
        })
    })
}

fn read_call(row: &Row) -> Result<Call, StoreError> {
    let Json(call) = row
        .try_get::<_, Json<Call>>(0)
        .map_err(|_| StoreError::Decode("a call".to_owned()))?;
    Ok(call)
}
