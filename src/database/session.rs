//! Statements on one connection.

use deadpool_postgres::StatementCache;
use futures_util::TryStreamExt as _;
use tokio_postgres::Client;

use super::row::{FromRow, Row};
use super::{StoreError, Value};

/// A connection for the length of one piece of work, within a transaction where it writes.
pub(crate) enum Session<'a> {
    /// On the connection's own thread: no future of a statement ever waits there.
    Sqlite(&'a rusqlite::Connection),
    /// On the actor's thread.
    Postgres {
        client: &'a Client,
        statements: &'a StatementCache,
    },
}

impl Session<'_> {
    /// Does a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// As the database has it.
    pub(crate) async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, &values)?;
                Ok(statement.raw_execute()? as u64)
            }
            Self::Postgres { client, statements } => {
                let statement = statements.prepare(client, sql).await?;
                Ok(client.execute_raw(&statement, &values).await?)
            }
        }
    }

    /// Does a statement and returns its rows.
    ///
    /// # Errors
    /// As the database has it, and [`StoreError::Decode`] for a row that is not what it is to become.
    pub(crate) async fn query<T: FromRow>(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, &values)?;
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    found.push(T::from_row(&Row::Sqlite(row))?);
                }
            }
            Self::Postgres { client, statements } => {
                let statement = statements.prepare(client, sql).await?;
                let rows = client.query_raw(&statement, &values).await?;
                tokio::pin!(rows);
                while let Some(row) = rows.try_next().await? {
                    found.push(T::from_row(&Row::Postgres(&row))?);
                }
            }
        }
        Ok(found)
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub(crate) async fn query_opt<T: FromRow>(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// The first row, of a statement that always has one.
    ///
    /// # Errors
    /// As [`query`](Self::query), and [`StoreError::Decode`] where there is none.
    pub(crate) async fn query_one<T: FromRow>(&self, sql: &str, values: Vec<Value>) -> Result<T, StoreError> {
        let row = self.query_opt(sql, values).await?;
        row.ok_or_else(|| StoreError::Decode("a row is missing".to_owned()))
    }
}

/// Binds `$1` to the first value and so on, in whatever order the text has them: to SQLite they are names.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value]) -> Result<(), StoreError> {
    let wrong = || StoreError::Query("a statement has other parameters".to_owned());
    if statement.parameter_count() != values.len() {
        return Err(wrong());
    }
    for index in 1..=values.len() {
        let number: Option<usize> = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        statement.raw_bind_parameter(index, value.ok_or_else(wrong)?)?;
    }
    Ok(())
}
