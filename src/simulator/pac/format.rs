//! Text as PAC and PostgreSQL write it.

use std::fmt::Write as _;

use jiff::Timestamp;
use rusqlite::types::ValueRef;

use crate::cdr::Kind;

/// Rows as .NET's `System.Text.Json` writes them with its default encoder.
pub(super) fn rows(rows: &[Vec<String>]) -> String {
    let mut out = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        out.push_str(if index == 0 { "[" } else { ",[" });
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            escaped(&mut out, value);
        }
        out.push(']');
    }
    out.push(']');
    out
}

/// .NET escapes all but plain ASCII, and of that whatever could mean something in HTML.
fn escaped(out: &mut String, text: &str) {
    out.push('"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => out.push_str("\\\\"),
            Ok(b'\n') => out.push_str("\\n"),
            Ok(b'\r') => out.push_str("\\r"),
            Ok(b'\t') => out.push_str("\\t"),
            Ok(0x08) => out.push_str("\\b"),
            Ok(0x0c) => out.push_str("\\f"),
            Ok(byte @ b' '..=b'~') if !b"\"'&+<>`".contains(&byte) => out.push(char::from(byte)),
            Ok(_) | Err(_) => {
                let _ = write!(out, "\\u{unit:04X}");
            }
        }
    }
    out.push('"');
}

/// A value as .NET's `ToString` gives it in an American culture; `raw` is the column that it comes from uncast.
pub(super) fn value(value: ValueRef<'_>, raw: Option<Kind>) -> String {
    match (value, raw) {
        (ValueRef::Text(b"true"), Some(Kind::Flag)) => return "True".to_owned(),
        (ValueRef::Text(b"false"), Some(Kind::Flag)) => return "False".to_owned(),
        (ValueRef::Integer(micros), Some(Kind::Moment)) => {
            // The fraction and the zone are lost, and the space before PM is a narrow one.
            let at = Timestamp::from_microsecond(micros).unwrap_or_default();
            return at.strftime("%-m/%-d/%Y %-I:%M:%S\u{202f}%p").to_string();
        }
        _ => {}
    }
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(_) => "System.Byte[]".to_owned(),
    }
}

/// A value inside PostgreSQL's JSON text.
pub(super) fn json(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => serde_json::Value::from(String::from_utf8_lossy(text)).to_string(),
    }
}

/// A database error as PAC passes it on.
pub(super) fn error(error: &rusqlite::Error) -> String {
    let text = error.to_string();
    let after = |prefix: &str| {
        text.strip_prefix(prefix)
            .map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned())
    };
    let (code, message) = if let Some(table) = after("no such table: ") {
        ("42P01", format!("relation \"{table}\" does not exist"))
    } else if let Some(column) = after("no such column: ") {
        ("42703", format!("column \"{column}\" does not exist"))
    } else if let Some(function) = after("no such function: ") {
        ("42883", format!("function {function}() does not exist"))
    } else if matches!(error, rusqlite::Error::InvalidQuery) {
        (
            "25006",
            "cannot execute this in a read-only transaction".to_owned(),
        )
    } else if text.contains("syntax error") || text.contains("incomplete input") {
        ("42601", "syntax error".to_owned())
    } else {
        ("XX000", text.clone())
    };
    format!(
        "Npgsql.PostgresException (0x80004005): {code}: {message}\n   at \
         Npgsql.Internal.NpgsqlConnector.ReadMessageLong(Boolean async, DataRowLoadingMode dataRowLoadingMode)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_escaped_as_dotnet_does() {
        let row = |text: &str| rows(&[vec![text.to_owned(), String::new()]]);
        assert_eq!(row("Имя"), r#"[["\u0418\u043C\u044F",""]]"#);
        assert_eq!(
            row("+7 <&'\"`> \\ \n\u{7f}😀"),
            r#"[["\u002B7 \u003C\u0026\u0027\u0022\u0060\u003E \\ \n\u007F\uD83D\uDE00",""]]"#
        );
        assert_eq!(rows(&[]), "[]");
        let back: Vec<Vec<String>> = serde_json::from_str(&row("a\"\u{1}я")).unwrap();
        assert_eq!(back[0][0], "a\"\u{1}я");
    }

    #[test]
    fn values_that_were_not_cast_are_dotnets() {
        assert_eq!(value(ValueRef::Real(2.0), None), "2");
        assert_eq!(value(ValueRef::Null, Some(Kind::Flag)), "");
        assert_eq!(value(ValueRef::Text(b"true"), Some(Kind::Flag)), "True");
        let at: Timestamp = "2024-11-24T16:39:50.123456Z".parse().unwrap();
        let micros = ValueRef::Integer(at.as_microsecond());
        assert_eq!(value(micros, Some(Kind::Moment)), "11/24/2024 4:39:50\u{202f}PM");
    }
}
