//! The store in a PostgreSQL database.

mod cursor;
mod read;
mod write;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::tombstone::TombstoneKey;
use super::{Batch, CdrRange, CdrStore, Changes, LegacyRow, MIGRATIONS, Position, RecordingFile, sql};
use crate::cdr::cursor::{ClientId, FORGET_EVERY, HandedOut, Resumed, Since};
use crate::cdr::record::{Cdr, Recording, Sourced};
use crate::database::{Postgres, StoreError};

pub(super) mod embedded {
    refinery::embed_migrations!("src/cdr/store/migrations/postgres");
}

/// The store in a database.
#[derive(Debug)]
pub(super) struct PostgresCdrs {
    database: Postgres,
    tombstone_key: TombstoneKey,
    /// Replies whose ids were written.
    handed_out: AtomicU32,
}

impl PostgresCdrs {
    /// Connects and brings the schema up to date. The pool has one connection more than `readers`, as somebody writes too.
    pub(super) async fn open(url: &str, readers: usize, timeout: Duration) -> Result<Self, StoreError> {
        let database = Postgres::new(url, readers + 1, timeout)?;
        database
            .migrate(embedded::migrations::runner(), MIGRATIONS.history)
            .await?;
        let key: Vec<u8> = database
            .bounded(async {
                Ok(database
                    .get()
                    .await?
                    .query_one(sql::TOMBSTONE_KEY, &[])
                    .await?
                    .try_get(0)?)
            })
            .await?;
        let tombstone_key = TombstoneKey::new(&key)?;
        Ok(Self {
            database,
            tombstone_key,
            handed_out: AtomicU32::new(0),
        })
    }
}

#[async_trait]
impl CdrStore for PostgresCdrs {
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, StoreError> {
        self.database
            .bounded(async {
                let mut client = self.database.get().await?;
                write::apply(&mut client, pbx, batch, &self.tombstone_key).await
            })
            .await
    }

    async fn position(&self, pbx: &str) -> Result<Position, StoreError> {
        self.database
            .bounded(async { read::position(&self.database.get().await?, pbx).await })
            .await
    }

    async fn remove_position(&self, name: &str) -> Result<(), StoreError> {
        self.database
            .bounded(async {
                let client = self.database.get().await?;
                client.execute(sql::REMOVE_POSITION, &[&name]).await?;
                Ok(())
            })
            .await
    }

    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, StoreError> {
        self.database
            .bounded(async {
                let client = self.database.get().await?;
                match range {
                    CdrRange::Cdrs { from, until } => read::leg_digests(&client, pbx, from, until).await,
                    CdrRange::Recordings { from, until } => {
                        read::recording_digests(&client, pbx, from, until).await
                    }
                    CdrRange::CdrIds(ids) => read::digests_of(&client, pbx, &ids, &self.tombstone_key).await,
                }
            })
            .await
    }

    async fn last_call_id(&self, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError> {
        self.database
            .bounded(async { read::last_call_id(&self.database.get().await?, pbx).await })
            .await
    }

    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, StoreError> {
        let call_id = super::comparable(call_id);
        self.database
            .bounded(async {
                let client = self.database.get().await?;
                read::after_call_id(&client, pbx, call_id, after, limit).await
            })
            .await
    }

    async fn resume(
        &self,
        pbx: &str,
        client: &ClientId,
        call_id: &str,
        late: usize,
    ) -> Result<Resumed, StoreError> {
        let call_id = super::comparable(call_id);
        self.database
            .bounded(async { cursor::resume(&self.database.get().await?, pbx, client, call_id, late).await })
            .await
    }

    async fn hand_out(&self, pbx: &str, client: &ClientId, handed_out: HandedOut) -> Result<(), StoreError> {
        self.database
            .bounded(async {
                let mut connection = self.database.get().await?;
                let unknown = cursor::unknown(&connection, pbx, client, handed_out).await?;
                if unknown.is_empty() {
                    return Ok(());
                }
                let count = self.handed_out.fetch_add(1, Ordering::Relaxed);
                let forget = count % FORGET_EVERY == FORGET_EVERY - 1;
                cursor::remember(&mut connection, pbx, client, &unknown, forget).await
            })
            .await
    }

    async fn legs_since(
        &self,
        pbx: &str,
        since: Since,
        until: i64,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let call_id = super::comparable(call_id);
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.database
            .bounded(async {
                let client = self.database.get().await?;
                cursor::legs_since(&client, pbx, since, until, call_id, &after, limit).await
            })
            .await
    }

    async fn legs(&self, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError> {
        self.database
            .bounded(async { read::legs(&self.database.get().await?, pbx, ids).await })
            .await
    }

    async fn recording_file(
        &self,
        pbx: &str,
        id_recording: i64,
    ) -> Result<Option<RecordingFile>, StoreError> {
        self.database
            .bounded(async { read::recording_file(&self.database.get().await?, pbx, id_recording).await })
            .await
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.database
            .bounded(async {
                Ok(self
                    .database
                    .get()
                    .await?
                    .query_one(sql::HEAD, &[])
                    .await?
                    .try_get(0)?)
            })
            .await
    }

    async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, StoreError> {
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.database
            .bounded(async { read::rows(&self.database.get().await?, pbx, &after, limit).await })
            .await
    }

    async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, StoreError> {
        let after = after.unwrap_or(i64::MIN);
        self.database
            .bounded(async { read::rows(&self.database.get().await?, pbx, &after, limit).await })
            .await
    }
}
