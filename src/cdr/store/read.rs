//! Everything that only reads, but for what clients were handed out.

use uuid::Uuid;

use super::{CdrRange, CdrStore, LegacyRow, Position, RecordingFile, ahead, comparable, limit, sql};
use crate::database::{self, FromRow, Json, Session, StoreError, Value, params};

impl FromRow for LegacyRow {
    fn from_row(row: &database::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            call_history_id: row.get(0)?,
            cdr_id: row.get(1)?,
            started_at: row.get(2)?,
            answered_at: row.get(3)?,
            ended_at: row.get(4)?,
            source_number: row.get(5)?,
            destination_number: row.get(6)?,
            recording_url: row.get(7)?,
            id_recording: row.get(8)?,
        })
    }
}

impl FromRow for RecordingFile {
    fn from_row(row: &database::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            recording_url: row.get(0)?,
            archived: row.get::<Option<bool>>(1)?.unwrap_or(false),
        })
    }
}

impl CdrStore {
    /// The position that was kept under this name: a 3CX's is its collector's. The default where there is none.
    pub async fn position(&self, name: &str) -> Result<Position, StoreError> {
        let found = self.database.query(sql::POSITION, params![name]).await?.pop();
        Ok(found.map(|Json(position)| position).unwrap_or_default())
    }

    /// Keys and digests of the stored rows in `range`, in the keys' order: `(cdr_id or id_recording as text, digest)`.
    pub async fn digests(&self, pbx: &str, range: CdrRange) -> Result<Vec<(String, String)>, StoreError> {
        match range {
            CdrRange::Cdrs { from, until } => {
                let values = params![pbx, from, until];
                self.database.query(sql::LEG_DIGESTS, values).await
            }
            CdrRange::Recordings { from, until } => {
                let values = params![pbx, from, until];
                let rows: Vec<(i64, String)> = self.database.query(sql::RECORDING_DIGESTS, values).await?;
                let rows = rows.into_iter();
                Ok(rows
                    .map(|(number, digest)| (number.to_string(), digest))
                    .collect())
            }
            CdrRange::CdrIds(ids) => {
                let any = self.database.dialect().any(2);
                let select = "SELECT cdr_id, source_digest FROM cdr WHERE pbx = $1 AND cdr_id";
                let values = params![pbx, Value::json(&ids)?];
                self.database
                    .query(format!("{select} {any} ORDER BY cdr_id"), values)
                    .await
            }
        }
    }

    /// The greatest `call_history_id` of `pbx` that its clock has reached, and the [`head`](Self::head) at that moment.
    pub async fn last_call_id(&self, pbx: &str) -> Result<(Option<Uuid>, i64), StoreError> {
        let pbx = pbx.to_owned();
        let read = async move |session: &Session<'_>| {
            let (last, head): (Option<Uuid>, i64) = session
                .query_one(sql::LAST_CALL_ID, params![pbx.as_str()])
                .await?;
            match ahead::bound(session, &pbx, last).await? {
                None => Ok((last, head)),
                Some(bound) => {
                    let below = session.query_one(sql::LAST_CALL_ID_BELOW, params![pbx, bound]);
                    Ok((below.await?, head))
                }
            }
        };
        self.database.read(read).await
    }

    /// At most `limit` legs of `pbx` whose `call_history_id`, as text, is greater than `call_id`, and whose `cdr_id`
    /// is greater than `after`; by `cdr_id`.
    pub async fn after_call_id(
        &self,
        pbx: &str,
        call_id: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, StoreError> {
        let (pbx, call_id) = (pbx.to_owned(), comparable(call_id).to_owned());
        let limit = self::limit(limit);
        let mut after = after.map(|after| after.to_string());
        let read = async move |session: &Session<'_>| {
            if after.is_none() {
                let first: Option<String> = session
                    .query_one(sql::FIRST_CALL_ID, params![pbx.as_str()])
                    .await?;
                // All are: they are read as a page after no leg.
                after = first.is_some_and(|first| first > call_id).then(String::new);
            }
            match after {
                None => {
                    let values = params![pbx, call_id, limit];
                    session.query(sql::FIRST_AFTER_CALL_ID, values).await
                }
                Some(after) => {
                    let values = params![pbx, call_id, after, limit];
                    session.query(sql::NEXT_AFTER_CALL_ID, values).await
                }
            }
        };
        self.database.read(read).await
    }

    /// These legs of `pbx`, those of them that are stored; by `cdr_id`.
    pub async fn legs(&self, pbx: &str, ids: &[Uuid]) -> Result<Vec<LegacyRow>, StoreError> {
        let values = params![pbx, Value::json(&ids)?];
        self.database
            .query(sql::legs_of(self.database.dialect()), values)
            .await
    }

    /// The file of one recording of `pbx`; none where no such recording is stored.
    pub async fn recording_file(
        &self,
        pbx: &str,
        id_recording: i64,
    ) -> Result<Option<RecordingFile>, StoreError> {
        let found = self
            .database
            .query(sql::RECORDING_FILE, params![pbx, id_recording]);
        Ok(found.await?.pop())
    }

    /// The `seq` of the latest change; 0 in a new store. It also shows that the store answers.
    pub async fn head(&self) -> Result<i64, StoreError> {
        self.database.query_one(sql::HEAD, params![]).await
    }
}
