//! The store in one SQLite file: one connection that writes, several that only read.

mod cursor;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::tombstone::TombstoneKey;
use super::{Batch, CdrRange, CdrStore, Changes, LegacyRow, MIGRATIONS, Position, RecordingFile, sql};
use crate::cdr::cursor::{ClientId, FORGET_EVERY, HandedOut, Resumed, Since};
use crate::cdr::record::{Cdr, Recording, Sourced};
use crate::database::{Connections, StoreError};

pub(super) mod embedded {
    refinery::embed_migrations!("src/cdr/store/migrations/sqlite");
}

/// The store in a file.
#[derive(Debug)]
pub(super) struct SqliteCdrs {
    writer: Connections,
    readers: Connections,
    tombstone_key: Arc<TombstoneKey>,
    /// Replies whose ids were written.
    handed_out: AtomicU32,
}

impl SqliteCdrs {
    /// Opens or makes the file and brings its schema up to date. Its directory must exist.
    pub(super) async fn open(file: &Path, readers: usize, timeout: Duration) -> Result<Self, StoreError> {
        // The journal's mode belongs to the file, so the readers, opened later, find it set.
        let writer = Connections::new(file, 1, timeout, |connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            // A commit can be lost with the machine's power, with its position: the collector reads it again.
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.pragma_update(None, "journal_size_limit", 64 << 20)
        });
        writer
            .migrate(embedded::migrations::runner(), MIGRATIONS.history)
            .await?;
        let key = |connection: &mut Connection| {
            let key: Vec<u8> = connection.query_row(sql::TOMBSTONE_KEY, [], |row| row.get(0))?;
            TombstoneKey::new(&key)
        };
        let tombstone_key = writer.with(key).await?.into();
        let readers = Connections::new(file, readers, timeout, |connection| {
            connection.pragma_update(None, "query_only", true)
        });
        Ok(Self {
            writer,
            readers,
            tombstone_key,
            handed_out: AtomicU32::new(0),
        })
    }
}

#[async_trait]
impl CdrStore for SqliteCdrs {
    async fn apply(&self, pbx: &str, batch: Batch) -> Result<Changes, StoreError> {
        let (pbx, key) = (pbx.to_owned(), self.tombstone_key.clone());
        let work = move |connection: &mut Connection| write::apply(connection, &pbx, batch, &key);
        self.writer.with(work).await
    }

    async fn position(&self, pbx: &str) -> Result<Position, StoreError> {
        let pbx = pbx.to_owned();
        self.readers
            .with(move |connection| read::position(connection, &pbx))
            .await
    }

    async fn remove_position(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .with(move |connection| {
                connection.execute(sql::REMOVE_POSITION, [name])?;
                Ok(())
            })
            .await
    }

    async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, StoreError> {
        let (pbx, key) = (pbx.to_owned(), self.tombstone_key.clone());
        self.readers
            .with(move |connection| read::digests(connection, &pbx, range, &key))
            .await
    }

    async fn last_call_id(&self, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError> {
        let pbx = pbx.to_owned();
        self.readers
            .with(move |connection| read::last_call_id(connection, &pbx))
            .await
    }

    async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, StoreError> {
        let (pbx, call_id) = (pbx.to_owned(), super::comparable(call_id).to_owned());
        self.readers
            .with(move |connection| read::after_call_id(connection, &pbx, &call_id, after, limit))
            .await
    }

    async fn resume(
        &self,
        pbx: &str,
        client: &ClientId,
        call_id: &str,
        late: usize,
    ) -> Result<Resumed, StoreError> {
        let (pbx, client) = (pbx.to_owned(), client.clone());
        let call_id = super::comparable(call_id).to_owned();
        self.readers
            .with(move |connection| cursor::resume(connection, &pbx, &client, &call_id, late))
            .await
    }

    async fn hand_out(&self, pbx: &str, client: &ClientId, handed_out: HandedOut) -> Result<(), StoreError> {
        let (pbx, client) = (pbx.to_owned(), client.clone());
        let (read_pbx, read_client) = (pbx.clone(), client.clone());
        let unknown = self
            .readers
            .with(move |connection| cursor::unknown(connection, &read_pbx, &read_client, handed_out))
            .await?;
        if unknown.is_empty() {
            return Ok(());
        }
        let count = self.handed_out.fetch_add(1, Ordering::Relaxed);
        let forget = count % FORGET_EVERY == FORGET_EVERY - 1;
        let remember =
            move |connection: &mut Connection| cursor::remember(connection, &pbx, &client, &unknown, forget);
        self.writer.with(remember).await
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
        let (pbx, call_id) = (pbx.to_owned(), super::comparable(call_id).to_owned());
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.readers
            .with(move |connection| {
                cursor::legs_since(connection, &pbx, since, until, &call_id, &after, limit)
            })
            .await
    }

    async fn legs(&self, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError> {
        let (pbx, ids) = (pbx.to_owned(), ids.to_vec());
        self.readers
            .with(move |connection| read::legs(connection, &pbx, &ids))
            .await
    }

    async fn recording_file(
        &self,
        pbx: &str,
        id_recording: i64,
    ) -> Result<Option<RecordingFile>, StoreError> {
        let pbx = pbx.to_owned();
        self.readers
            .with(move |connection| read::recording_file(connection, &pbx, id_recording))
            .await
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.readers
            .with(|connection| Ok(connection.query_row(sql::HEAD, [], |row| row.get(0))?))
            .await
    }

    async fn rows(
        &self,
        pbx: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Sourced<Cdr>>, StoreError> {
        let pbx = pbx.to_owned();
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        self.readers
            .with(move |connection| read::rows(connection, &pbx, after, limit))
            .await
    }

    async fn recordings(
        &self,
        pbx: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Sourced<Recording>>, StoreError> {
        let (pbx, after) = (pbx.to_owned(), after.unwrap_or(i64::MIN));
        self.readers
            .with(move |connection| read::rows(connection, &pbx, after, limit))
            .await
    }
}
