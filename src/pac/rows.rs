//! What `ExecuteSql` replies.

use super::error::{PacError, sanitize};
use super::messages::Rows;
use super::proto::sql::SqlResponse;

/// The class of errors about a statement's own text, which is fixed, and so are the names in it.
const SYNTAX_OR_ACCESS: &str = "42";

/// Rows, or the database error that came as a success.
pub(super) fn parse(reply: &SqlResponse) -> Result<Rows, PacError> {
    if !reply.error.is_empty() {
        return Err(PacError::Rejected(database_error(&reply.error)));
    }
    // serde's own text would show values.
    serde_json::from_str(&reply.result).map_err(|error| {
        let place = error.column();
        PacError::Decode(format!(
            "no array of arrays of strings, from character {place} on"
        ))
    })
}

/// `42P01: relation "x" does not exist`, out of a whole .NET exception. PostgreSQL quotes the values it complains
/// about; those are left out.
fn database_error(exception: &str) -> String {
    let line = exception.trim_start().lines().next().unwrap_or_default();
    let mut parts = line.splitn(3, ": ");
    let state = parts.by_ref().find(|part| is_sqlstate(part));
    match (state, parts.next()) {
        (Some(state), Some(text)) if state.starts_with(SYNTAX_OR_ACCESS) => {
            format!("{state}: {}", sanitize(text))
        }
        (Some(state), text) => format!("{state}: {}", sanitize(&without_quoted(text.unwrap_or_default()))),
        (None, _) => sanitize(&without_quoted(line)),
    }
}

fn is_sqlstate(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

fn without_quoted(text: &str) -> String {
    let outside: Vec<&str> = text.split('"').step_by(2).collect();
    outside.join("\"…\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(result: &str, error: &str) -> SqlResponse {
        SqlResponse {
            result: result.to_owned(),
            error: error.to_owned(),
        }
    }

    #[test]
    fn reads_rows_of_strings() {
        assert_eq!(parse(&reply("[]", "")), Ok(vec![]));
        let rows = parse(&reply(r#"[["1","\u0416"],["",""]]"#, "")).unwrap();
        assert_eq!(rows, [["1", "Ж"], ["", ""]]);
    }

    #[test]
    fn anything_else_is_a_decode_error_that_shows_no_value() {
        for text in ["", "[[", "{}", "null", r#"[["secret", 5]]"#, r#"["secret"]"#] {
            let Err(PacError::Decode(error)) = parse(&reply(text, "")) else {
                panic!("{text} was taken");
            };
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_database_error_is_its_state_and_first_line_without_values() {
        let cases = [
            (
                "Npgsql.PostgresException (0x80004005): 42P01: relation \"x\" does not exist\n\nPOSITION: 15\n   at Npgsql",
                "42P01: relation \"x\" does not exist",
            ),
            (
                "Npgsql.PostgresException (0x80004005): 22P02: invalid input syntax for type uuid: \"top secret\"\n at",
                "22P02: invalid input syntax for type uuid: \"…\"",
            ),
            (
                "Npgsql.NpgsqlException (0x80004005): Exception while reading from stream\n ---> System.TimeoutException",
                "Npgsql.NpgsqlException (0x…): Exception while reading from stream",
            ),
        ];
        for (exception, expected) in cases {
            let result = parse(&reply("[]", exception));
            assert_eq!(result, Err(PacError::Rejected(expected.to_owned())));
        }
    }
}
