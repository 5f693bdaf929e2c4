//! What a statement is given and what its rows hold, between Rust's types and those of either database.
//!
//! Both are reduced to SQLite's four: a whole number, text, bytes, or nothing. PostgreSQL has a type for each parameter and
//! each column, and the value is written and read as that.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Value as Sqlite, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::StoreError;

/// What PostgreSQL's `jsonb` begins with.
const JSONB_VERSION: u8 = 1;

type Mismatch = Box<dyn Error + Sync + Send>;

/// A statement's parameter. `Debug` does not show it.
#[derive(derive_more::Debug, Clone)]
#[debug("Value(…)")]
pub(crate) struct Value(Sqlite);

impl Value {
    /// A value as JSON, a list for an [`any`](super::Dialect::any) too.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, StoreError> {
        let json = serde_json::to_string(value);
        let json = json.map_err(|_| StoreError::Query("a value has no JSON".to_owned()))?;
        Ok(json.into())
    }
}

/// Defines how Rust's types become values.
macro_rules! into_value {
    ($($type:ty: $value:ident => $kind:ident($into:expr);)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self(Sqlite::$kind($into))
            }
        })*
    };
}

into_value! {
    i64: value => Integer(value);
    bool: value => Integer(value.into());
    Timestamp: value => Integer(value.as_microsecond());
    &str: value => Text(value.to_owned());
    String: value => Text(value);
    Uuid: value => Text(value.to_string());
    [u8; 32]: value => Blob(value.to_vec());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Sqlite::Null), Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Mismatch> {
        match (&self.0, ty) {
            (Sqlite::Null, _) => Ok(IsNull::Yes),
            (Sqlite::Integer(value), &Type::INT8) => value.to_sql(ty, out),
            (Sqlite::Integer(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Sqlite::Integer(value), &Type::BOOL) => (*value != 0).to_sql(ty, out),
            (Sqlite::Integer(value), &Type::TIMESTAMPTZ) => {
                Timestamp::from_microsecond(*value)?.to_sql(ty, out)
            }
            (Sqlite::Text(value), &Type::TEXT) => value.to_sql(ty, out),
            (Sqlite::Text(value), &Type::UUID) => Uuid::try_parse(value)?.to_sql(ty, out),
            (Sqlite::Text(json), &Type::JSONB) => {
                out.put_u8(JSONB_VERSION);
                json.to_sql(ty, out)
            }
            (Sqlite::Text(json), &Type::TEXT_ARRAY) => {
                serde_json::from_str::<Vec<String>>(json)?.to_sql(ty, out)
            }
            (Sqlite::Blob(value), &Type::BYTEA) => value.to_sql(ty, out),
            _ => Err("a parameter of another type".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What a column of a row holds.
pub(crate) struct Cell<'a>(pub(super) ValueRef<'a>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Mismatch> {
        Ok(Self(match *ty {
            Type::INT8 => ValueRef::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => ValueRef::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => ValueRef::Integer(bool::from_sql(ty, raw)?.into()),
            Type::TIMESTAMPTZ => ValueRef::Integer(Timestamp::from_sql(ty, raw)?.as_microsecond()),
            Type::TEXT => ValueRef::Text(raw),
            Type::JSONB => ValueRef::Text(raw.get(1..).unwrap_or_default()),
            Type::BYTEA | Type::UUID => ValueRef::Blob(raw),
            _ => return Err("a column of another type".into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Mismatch> {
        Ok(Self(ValueRef::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    /// None where the column holds something else.
    fn read(cell: Cell<'_>) -> Option<Self>;
}

/// Defines what Rust's types are read from.
macro_rules! column {
    ($($type:ty: $value:ident => $read:expr;)*) => {
        $(impl Column for $type {
            fn read(Cell($value): Cell<'_>) -> Option<Self> {
                $read
            }
        })*
    };
}

column! {
    i64: value => value.as_i64().ok();
    bool: value => value.as_i64().ok().map(|value| value != 0);
    Timestamp: value => Self::from_microsecond(value.as_i64().ok()?).ok();
    String: value => value.as_str().ok().map(str::to_owned);
    Uuid: value => match value.as_str() {
        Ok(text) => Self::try_parse(text).ok(),
        Err(_) => Self::from_slice(value.as_blob().ok()?).ok(),
    };
    [u8; 32]: value => value.as_blob().ok()?.try_into().ok();
}

impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if cell.0 == ValueRef::Null {
            Some(None)
        } else {
            T::read(cell).map(Some)
        }
    }
}

/// A column that holds JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> Column for Json<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        serde_json::from_str(cell.0.as_str().ok()?).ok().map(Self)
    }
}
