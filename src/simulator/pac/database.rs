//! The database behind the simulated PAC: 3CX's tables in an SQLite in memory.

use std::sync::{Arc, Mutex};

use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Result, params_from_iter};
use uuid::Uuid;

use super::clock::Clock;
use super::{format, functions};
use crate::cdr::{Cdr, Column, InvalidRow, Kind, Recording, SourceRow as _};
use crate::simulator::lock::locked;

const CDRS: &str = "cdroutput";
const RECORDINGS: &str = "recordings";

/// Types that SQLite stores as text and as integers, and tells apart from others.
const FLAG: &str = "BOOLEAN_TEXT";
const MOMENT: &str = "TIMESTAMPTZ_INTEGER";

#[derive(Debug)]
pub(super) struct Database {
    connection: Mutex<Connection>,
}

impl Database {
    pub(super) fn open(clock: Arc<Clock>) -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        functions::register(&connection, clock)?;
        for (table, columns) in [(CDRS, Cdr::COLUMNS), (RECORDINGS, Recording::COLUMNS)] {
            let key = columns[0].name;
            let columns: Vec<String> = columns.iter().map(declaration).collect();
            connection.execute_batch(&format!(
                "CREATE TABLE {table} ({}, PRIMARY KEY ({key}))",
                columns.join(", ")
            ))?;
        }
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Runs a statement as it is, read-only. What PAC would answer: the result and the error.
    pub(super) fn execute(&self, sql: &str) -> (String, String) {
        match self.rows(sql) {
            Ok(rows) => (format::rows(&rows), String::new()),
            Err(error) => ("[]".to_owned(), format::error(&error)),
        }
    }

    fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let connection = locked(&self.connection);
        let mut statement = connection.prepare(sql)?;
        // PAC's user may only read. Statements without columns would reach beyond the tables: ATTACH, VACUUM INTO.
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let raw = statement.columns().iter().map(raw).collect::<Vec<_>>();
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = raw.iter().enumerate();
            let values = values.map(|(index, raw)| Ok(format::value(row.get_ref(index)?, *raw)));
            rows.push(values.collect::<Result<_>>()?);
        }
        Ok(rows)
    }

    /// Stores a row, or stores it anew.
    pub(super) fn put_cdr(&self, row: &Cdr) -> Result<()> {
        self.put(CDRS, Cdr::COLUMNS, row.to_texts())
    }

    /// Stores a row, or stores it anew.
    pub(super) fn put_recording(&self, row: &Recording) -> Result<()> {
        self.put(RECORDINGS, Recording::COLUMNS, row.to_texts())
    }

    fn put(&self, table: &str, columns: &[Column], texts: Vec<Option<String>>) -> Result<()> {
        let marks = vec!["?"; columns.len()].join(", ");
        let values = columns
            .iter()
            .zip(texts)
            .map(|(column, text)| value(column, text));
        let connection = locked(&self.connection);
        connection
            .prepare_cached(&format!("INSERT OR REPLACE INTO {table} VALUES ({marks})"))?
            .execute(params_from_iter(values))?;
        Ok(())
    }

    /// All legs.
    pub(super) fn cdrs(&self) -> Result<Vec<Cdr>> {
        self.all(CDRS, Cdr::from_texts)
    }

    /// All recordings.
    pub(super) fn recordings(&self) -> Result<Vec<Recording>> {
        self.all(RECORDINGS, Recording::from_texts)
    }

    fn all<T>(
        &self,
        table: &str,
        read: impl Fn(Vec<Option<String>>) -> std::result::Result<T, InvalidRow>,
    ) -> Result<Vec<T>> {
        let connection = locked(&self.connection);
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let texts = (0..width).map(|index| row.get(index).map(text));
            read(texts.collect::<Result<_>>()?)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
        })?;
        rows.collect()
    }

    /// Deletes a leg and its recordings; whether it was there.
    pub(super) fn delete_cdr(&self, cdr_id: Uuid) -> Result<bool> {
        let connection = locked(&self.connection);
        let id = cdr_id.to_string();
        connection.execute("DELETE FROM recordings WHERE cdr_id = ?", [&id])?;
        Ok(connection.execute("DELETE FROM cdroutput WHERE cdr_id = ?", [&id])? > 0)
    }

    /// Deletes a recording; whether it was there.
    pub(super) fn delete_recording(&self, id_recording: i64) -> Result<bool> {
        let connection = locked(&self.connection);
        Ok(connection.execute("DELETE FROM recordings WHERE id_recording = ?", [id_recording])? > 0)
    }
}

/// What a column of the result was before anything was cast; None for what was.
fn raw(column: &rusqlite::Column<'_>) -> Option<Kind> {
    match column.decl_type()? {
        FLAG => Some(Kind::Flag),
        MOMENT => Some(Kind::Moment),
        _ => None,
    }
}

/// Ids and flags are text, so that casting them to text gives what PostgreSQL gives; moments are microseconds.
fn declaration(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Id | Kind::Text => "TEXT",
        Kind::Integer => "INTEGER",
        Kind::Flag => FLAG,
        Kind::Moment => MOMENT,
    };
    format!("{} {kind}", column.name)
}

/// What [`value`] made of a text, as that text.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Null | Value::Real(_) | Value::Blob(_) => None,
    }
}

fn value(column: &Column, text: Option<String>) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    match column.kind {
        Kind::Id | Kind::Text | Kind::Flag => Value::Text(text),
        Kind::Moment | Kind::Integer => text.parse().map_or(Value::Null, Value::Integer),
    }
}
