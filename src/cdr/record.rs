//! A CDR and a recording, with all that 3CX keeps of them.
//!
//! The columns and their order are those of `public.cdroutput` in a 3CX v20 from update 6 on. The source hands a
//! row over as one JSON array of text, see [`Column`]; the hash of that very text is the row's digest, computed by
//! the source and checked here, so that a stored row is known to be what the source holds.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::value::{Kind, Value};

/// A column of a source's table: its name there and here, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A row that is not what its table says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRow {
    /// Not a JSON array of text and null. Where it is none, without what stands there.
    #[error("not an array of text at line {line} column {column}")]
    NotAnArray {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Too few or too many values.
    #[error("{got} values instead of {expected}")]
    Width {
        /// The number of columns.
        expected: usize,
        /// The number of values.
        got: usize,
    },
    /// A value that its column cannot hold. It does not repeat the value.
    #[error("{column} is not {expected}")]
    Value {
        /// The column.
        column: &'static str,
        /// What it holds.
        expected: &'static str,
    },
}

/// A row of one of the source's tables, which both 3CX and the store know by one key, the first column.
pub trait SourceRow: Sized + Send + Sync + 'static {
    /// The key within one 3CX.
    type Key: Copy + Ord + Hash + Debug + Display + FromStr;
    /// The source's table.
    const SOURCE_TABLE: &'static str;
    /// Which of its rows are collected.
    const SOURCE_CONDITION: &'static str;
    /// The store's table.
    const TABLE: &'static str;
    /// The source's columns, in order.
    const COLUMNS: &'static [Column];

    /// Its key.
    fn key(&self) -> Self::Key;

    /// Reads a row from its values as the source's text has them, in the columns' order.
    ///
    /// # Errors
    /// See [`InvalidRow`].
    fn from_texts(values: Vec<Option<String>>) -> Result<Self, InvalidRow>;

    /// The values as the source's text has them, in the columns' order.
    fn to_texts(&self) -> Vec<Option<String>>;

    /// Reads a row from the source's JSON array of text.
    ///
    /// # Errors
    /// See [`InvalidRow`].
    fn from_source(text: &str) -> Result<Self, InvalidRow> {
        let values = serde_json::from_str(text).map_err(|error| InvalidRow::NotAnArray {
            line: error.line(),
            column: error.column(),
        })?;
        Self::from_texts(values)
    }
}

/// Defines a row type once: its tables, its fields, its columns, and the way from and to the source's text.
macro_rules! row {
    (
        $(#[$doc:meta])*
        $row:ident($key:ident: $key_type:ty, $table:literal) from $source:literal where $condition:literal {
            $($(#[$field_doc:meta])* $name:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $row {
            $(#[doc = concat!("The source's `", stringify!($name), "`.")] $(#[$field_doc])* pub $name: $type,)*
        }

        impl SourceRow for $row {
            type Key = $key_type;
            const SOURCE_TABLE: &'static str = $source;
            const SOURCE_CONDITION: &'static str = $condition;
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [Column] =
                &[$(Column { name: stringify!($name), kind: <$type as Value>::KIND },)*];

            fn key(&self) -> $key_type {
                self.$key
            }

            fn from_texts(values: Vec<Option<String>>) -> Result<Self, InvalidRow> {
                let (expected, got) = (Self::COLUMNS.len(), values.len());
                if got != expected {
                    return Err(InvalidRow::Width { expected, got });
                }
                let mut values = values.into_iter();
                Ok(Self { $($name: {
                    let value = values.next().flatten();
                    <$type as Value>::from_text(value).ok_or(InvalidRow::Value {
                        column: stringify!($name),
                        expected: <$type as Value>::KIND.article(),
                    })?
                },)* })
            }

            fn to_texts(&self) -> Vec<Option<String>> {
                vec![$(Value::to_text(&self.$name),)*]
            }
        }
    };
}

row! {
    /// One leg: party A towards party B, as `cdroutput` has it.
    Cdr(cdr_id: Uuid, "cdr") from "cdroutput" where "cdr_ended_at IS NOT NULL" {
        /// The leg's id; begins with the FILETIME of its start.
        cdr_id: Uuid,
        /// The call flow that the leg is part of.
        call_history_id: Uuid,
        source_participant_id: Option<Uuid>,
        source_entity_type: Option<String>,
        source_dn_number: Option<String>,
        source_dn_type: Option<String>,
        source_dn_name: Option<String>,
        source_participant_name: Option<String>,
        source_participant_phone_number: Option<String>,
        source_participant_trunk_did: Option<String>,
        source_participant_is_incoming: Option<bool>,
        source_participant_is_already_connected: Option<bool>,
        source_participant_group_name: Option<String>,
        source_participant_billing_suffix: Option<String>,
        destination_participant_id: Option<Uuid>,
        destination_entity_type: Option<String>,
        destination_dn_number: Option<String>,
        destination_dn_type: Option<String>,
        destination_dn_name: Option<String>,
        destination_participant_name: Option<String>,
        destination_participant_phone_number: Option<String>,
        destination_participant_trunk_did: Option<String>,
        destination_participant_is_incoming: Option<bool>,
        destination_participant_is_already_connected: Option<bool>,
        destination_participant_group_name: Option<String>,
        destination_participant_billing_suffix: Option<String>,
        /// The CDR that this one modifies.
        base_cdr_id: Option<Uuid>,
        /// The CDR that started the routing branch.
        originating_cdr_id: Option<Uuid>,
        creation_method: Option<String>,
        creation_forward_reason: Option<String>,
        termination_reason: Option<String>,
        terminated_by_participant_id: Option<Uuid>,
        /// The immediate successor.
        continued_in_cdr_id: Option<Uuid>,
        cdr_started_at: Timestamp,
        cdr_ended_at: Timestamp,
        /// None: not answered. A queue or a script answers too, not only a person.
        cdr_answered_at: Option<Timestamp>,
        termination_reason_details: Option<String>,
        processed: Option<bool>,
        migrated: Option<bool>,
        /// The call that an attended transfer or a consultation was joined to.
        main_call_history_id: Option<Uuid>,
        source_presentation: Option<String>,
        offload_id: Option<i64>,
    }
}

row! {
    /// One recording of a leg, as `recordings` has it.
    Recording(id_recording: i64, "recording") from "recordings" where "cdr_id IS NOT NULL" {
        /// The source's serial number.
        id_recording: i64,
        /// The leg that was recorded.
        cdr_id: Uuid,
        /// The file, relative to 3CX's recordings.
        recording_url: Option<String>,
        start_time: Option<Timestamp>,
        end_time: Option<Timestamp>,
        /// Whether the file was moved to an archive.
        archived: Option<bool>,
        archived_url: Option<String>,
    }
}

/// A row with the digest of the source's text for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The row.
    #[serde(flatten)]
    pub row: T,
    /// The digest, see [`digest`].
    pub source_digest: String,
}

/// The digest of a row's text, as the source computes it: MD5 in lower-case hexadecimal. It finds differences; it
/// protects nothing.
pub fn digest(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(row: &[Option<&str>]) -> String {
        serde_json::to_string(row).unwrap()
    }

    #[test]
    fn a_row_survives_the_way_there_and_back() {
        let row = [
            Some("7"),
            Some("00000000-01dc-9a69-1dbe-96110000301f"),
            Some("110/[Имя, Фамилия]_110-79990480215_20260210084157(12).wav"),
            Some("1770712917554000"),
            None,
            Some("false"),
            Some(""),
        ];
        let recording = Recording::from_source(&texts(&row)).unwrap();
        assert_eq!(
            recording.start_time,
            Some("2026-02-10T08:41:57.554Z".parse().unwrap())
        );
        assert_eq!(recording.archived_url.as_deref(), Some(""));
        let back: Vec<Option<String>> = row.iter().map(|value| value.map(str::to_owned)).collect();
        assert_eq!(recording.to_texts(), back);
    }

    #[test]
    fn a_bad_value_is_named_by_its_column() {
        let row = [Some("7"), Some("nonsense"), None, None, None, None, None];
        let error = Recording::from_source(&texts(&row)).unwrap_err();
        assert_eq!(error.to_string(), "cdr_id is not a uuid");
        let error = Recording::from_source(&texts(&row[..3])).unwrap_err();
        assert_eq!(error, InvalidRow::Width { expected: 7, got: 3 });
        assert!(matches!(
            Recording::from_source("[["),
            Err(InvalidRow::NotAnArray { .. })
        ));
    }

    #[test]
    fn a_cdr_has_all_the_columns_of_the_source() {
        assert_eq!(Cdr::COLUMNS.len(), 42);
        assert_eq!(Cdr::COLUMNS[33].name, "cdr_started_at");
    }

    #[test]
    fn the_digest_is_md5() {
        assert_eq!(digest("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
