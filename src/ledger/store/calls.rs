//! Reading calls.

use jiff::Timestamp;

use super::LedgerStore;
use super::sqlite::COLUMNS;
use crate::call::{Call, CallId, CallState, Direction, Mode, Origin};
use crate::database::{FromRow, Json, Row, StoreError, Value, params};
use crate::ledger::{SearchCalls, StateFilter};
use crate::telephony::{HangupCause, PhoneNumber};

impl FromRow for Call {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let (requested_by, metadata): (Option<Json<_>>, Option<Json<_>>) = (row.get(10)?, row.get(12)?);
        let (state, revision, cause): (String, i64, Option<i64>) = (row.get(13)?, row.get(15)?, row.get(21)?);
        let legs: Option<Json<_>> = row.get(23)?;
        let created_at: Timestamp = row.get(16)?;
        Ok(Self {
            id: CallId(row.get(0)?),
            integration: row.get(1)?,
            instance: row.get(2)?,
            origin: word(row.get(3)?, Origin::parse)?.unwrap_or_default(),
            direction: word(row.get(4)?, Direction::parse)?.unwrap_or_default(),
            mode: word(row.get(5)?, Mode::parse)?.unwrap_or_default(),
            extension: row.get(6)?,
            number: row.get(7)?,
            external_number: row.get(8)?,
            external_name: row.get(9)?,
            requested_by: requested_by.map(|Json(by)| by),
            external_id: row.get(11)?,
            metadata: metadata.map(|Json(metadata)| metadata).unwrap_or_default(),
            state: CallState::parse(&state).ok_or_else(unknown_word)?,
            closed: row.get(14)?,
            revision: u32::try_from(revision).map_err(|_| StoreError::Decode("a revision".to_owned()))?,
            created_at,
            ringing_at: row.get(17)?,
            answered_at: row.get(18)?,
            bridged_at: row.get(19)?,
            ended_at: row.get(20)?,
            cause: cause.and_then(|cause| u16::try_from(cause).ok()).map(HangupCause),
            error: row.get(22)?,
            legs: legs.map(|Json(legs)| legs).unwrap_or_default(),
        })
    }
}

fn word<T>(word: Option<String>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
    word.map(|word| parse(&word).ok_or_else(unknown_word)).transpose()
}

fn unknown_word() -> StoreError {
    StoreError::Decode("a word unknown to this version".to_owned())
}

impl LedgerStore {
    /// Calls, where this comes after the name of their table.
    async fn calls(&self, rest: &str, values: Vec<Value>) -> Result<Vec<Call>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM ledger_call{rest}");
        self.database.query(select, values).await
    }

    /// One call.
    pub(in crate::ledger) async fn call(&self, id: CallId) -> Result<Option<Call>, StoreError> {
        Ok(self.calls(" WHERE id = $1", params![id.0]).await?.pop())
    }

    /// The calls of a gateway through an integration that are not closed, oldest first: of the one on this host, by the name
    /// that the ledger knows and by the one that it goes by provisionally.
    pub(in crate::ledger) async fn open_calls(
        &self,
        integration: &str,
        host: &str,
        provisional: &str,
    ) -> Result<Vec<Call>, StoreError> {
        let open = " WHERE integration = $1 AND NOT closed \
                    AND instance IN (SELECT id FROM ledger_instance WHERE host = $2 UNION SELECT $3) ORDER BY id";
        self.calls(open, params![integration, host, provisional]).await
    }

    /// A page of calls that fit as they are stored, newest first.
    pub(in crate::ledger) async fn search(&self, search: &SearchCalls) -> Result<Vec<Call>, StoreError> {
        let (filter, values) = filter(search);
        self.calls(&filter, values).await
    }
}

/// What comes after `SELECT … FROM ledger_call` for a search, and its values.
pub(super) fn filter(search: &SearchCalls) -> (String, Vec<Value>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut one_of = |column: &str, words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| bind(word.as_str().into())).collect();
        match words.as_slice() {
            // Neither database has an empty list.
            [] => "FALSE".to_owned(),
            words => format!("{column} IN ({})", words.join(", ")),
        }
    };
    if let Some(integrations) = &search.integrations {
        conditions.push(one_of("integration", integrations));
    }
    match search.state {
        None => {}
        // By their own index, which is small: in the order of ids all calls would be read to find the last of these.
        Some(StateFilter::Live) => {
            conditions.push("id IN (SELECT id FROM ledger_call WHERE NOT closed)".to_owned());
        }
        Some(StateFilter::In(state)) => conditions.push(one_of("state", &[state.as_str().to_owned()])),
    }
    if let Some(extension) = &search.extension {
        conditions.push(one_of("extension", &[extension.to_string()]));
    }
    if let Some(number) = &search.number {
        let digits = PhoneNumber::digits_of(number.as_str());
        conditions.push(one_of("number", &[digits.to_owned(), format!("+{digits}")]));
    }
    if let Some(external_id) = &search.external_id {
        conditions.push(one_of("external_id", std::slice::from_ref(external_id)));
    }
    if let Some(first) = search.first() {
        conditions.push(format!("id >= {}", bind(first.0.into())));
    }
    if let Some(end) = search.end() {
        conditions.push(format!("id < {}", bind(end.0.into())));
    }
    let filter = match conditions.as_slice() {
        [] => String::new(),
        conditions => format!(" WHERE {}", conditions.join(" AND ")),
    };
    (
        format!("{filter} ORDER BY id DESC LIMIT {}", search.limit),
        values,
    )
}
