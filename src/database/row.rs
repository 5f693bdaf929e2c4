//! Rows, and what they become.

use super::StoreError;
use super::value::{Cell, Column};

/// A row of either database.
pub(crate) enum Row<'a> {
    /// Of SQLite.
    Sqlite(&'a rusqlite::Row<'a>),
    /// Of PostgreSQL.
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// A column, counted from 0.
    ///
    /// # Errors
    /// [`StoreError::Decode`] with the column's name where it holds something else than that type, or is missing.
    pub(crate) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        let cell = match self {
            Self::Sqlite(row) => row.get_ref(column).map(Cell).ok(),
            Self::Postgres(row) => row.try_get(column).ok(),
        };
        cell.and_then(T::read)
            .ok_or_else(|| StoreError::Decode(self.name(column)))
    }

    fn name(&self, column: usize) -> String {
        let name = match self {
            Self::Sqlite(row) => row.as_ref().column_name(column).ok(),
            Self::Postgres(row) => row.columns().get(column).map(tokio_postgres::Column::name),
        };
        name.map_or_else(|| format!("column {column}"), str::to_owned)
    }
}

/// What a statement's rows become: a type of ours, a single column, or a tuple of columns.
pub(crate) trait FromRow: Sized {
    /// # Errors
    /// As [`Row::get`].
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

impl<T: Column> FromRow for T {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get(0)
    }
}

impl<A: Column, B: Column> FromRow for (A, B) {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok((row.get(0)?, row.get(1)?))
    }
}

impl<A: Column, B: Column, C: Column> FromRow for (A, B, C) {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    }
}
