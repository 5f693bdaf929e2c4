//! What a statement is given and what its rows hold, between Rust's types and those of either database.
//!
//! Both are reduced to what SQLite knows: a number, text, bytes, or nothing. PostgreSQL has a type for each parameter and
//! each column, and the value is written and read as that.

use std::error::Error;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::StoreError;

/// A statement's parameter. `Debug` does not show what it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `NULL`.
    Null,
    /// A whole number; a boolean; a moment, in microseconds since 1970.
    Integer(i64),
    /// Text; a UUID; JSON.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// A value as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, StoreError> {
        let json = serde_json::to_string(value);
        Ok(Self::Text(json.map_err(|_| {
            StoreError::Query("a value has no JSON".to_owned())
        })?))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(…)")
    }
}

/// Defines how Rust types become values.
macro_rules! into_value {
    ($($type:ty: $value:ident => $into:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $into
            }
        })*
    };
}

into_value! {
    i64: value => Self::Integer(value);
    bool: value => Self::Integer(value.into());
    Timestamp: value => Self::Integer(value.as_microsecond());
    &str: value => Self::Text(value.to_owned());
    String: value => Self::Text(value);
    Uuid: value => Self::Text(value.to_string());
    [u8; 32]: value => Self::Bytes(value.to_vec());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

type Wrong = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(value), &Type::INT8) => value.to_sql(ty, out),
            (Self::Integer(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Self::Integer(value), &Type::BOOL) => (*value != 0).to_sql(ty, out),
            (Self::Integer(value), &Type::TIMESTAMPTZ) => {
                Timestamp::from_microsecond(*value)?.to_sql(ty, out)
            }
            (Self::Text(value), &Type::TEXT | &Type::JSON) => value.to_sql(ty, out),
            (Self::Text(value), &Type::UUID) => Uuid::try_parse(value)?.to_sql(ty, out),
            (Self::Text(value), &Type::JSONB) => {
                out.put_u8(JSONB_VERSION);
                value.to_sql(ty, out)
            }
            (Self::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            _ => Err("a parameter of another type".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What PostgreSQL's `jsonb` begins with.
const JSONB_VERSION: u8 = 1;

/// What one column of a row holds.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// None for what this layer does not know.
    pub(super) fn of_sqlite(value: ValueRef<'a>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(Self::Null),
            ValueRef::Integer(value) => Some(Self::Integer(value)),
            ValueRef::Text(value) => std::str::from_utf8(value).ok().map(Self::Text),
            ValueRef::Blob(value) => Some(Self::Bytes(value)),
            ValueRef::Real(_) => None,
        }
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Wrong> {
        Ok(match *ty {
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            Type::TIMESTAMPTZ => Self::Integer(Timestamp::from_sql(ty, raw)?.as_microsecond()),
            Type::TEXT | Type::JSON => Self::Text(std::str::from_utf8(raw)?),
            Type::JSONB => Self::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?),
            Type::BYTEA | Type::UUID => Self::Bytes(raw),
            _ => return Err("a column of another type".into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Wrong> {
        Ok(Self::Null)
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

/// Defines what Rust types are read from.
macro_rules! column {
    ($($type:ty: $($cell:pat => $read:expr),*;)*) => {
        $(impl Column for $type {
            fn read(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    $($cell => $read,)*
                    _ => None,
                }
            }
        })*
    };
}

column! {
    i64: Cell::Integer(value) => Some(value);
    bool: Cell::Integer(value) => Some(value != 0);
    Timestamp: Cell::Integer(value) => Self::from_microsecond(value).ok();
    String: Cell::Text(value) => Some(value.to_owned());
    Uuid: Cell::Text(value) => Self::try_parse(value).ok(), Cell::Bytes(value) => Self::from_slice(value).ok();
    [u8; 32]: Cell::Bytes(value) => value.try_into().ok();
}

impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            Cell::Integer(_) | Cell::Text(_) | Cell::Bytes(_) => T::read(cell).map(Some),
        }
    }
}

/// A column that holds JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> Column for Json<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(json) => serde_json::from_str(json).ok().map(Self),
            Cell::Null | Cell::Integer(_) | Cell::Bytes(_) => None,
        }
    }
}
