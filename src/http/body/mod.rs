//! JSON bodies, read within bounds; on the original's routes each field as it was written.

mod receive;
mod unfinished;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tokio::time::Instant;

pub(super) use self::receive::Body;
pub(super) use self::unfinished::UnfinishedBodies;
use super::error::ApiError;

/// The fields of a body. Numbers keep their digits: through a binary fraction another number could come out.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

/// A field's value, as far as the original's routes tell values apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Not there, or null.
    Absent,
    /// Text.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// Anything else.
    Other,
}

/// Reads the JSON body of one of the gateway's own routes until the deadline. It has to say that it is JSON: so a page of
/// another origin cannot send one without asking the browser's permission first.
///
/// # Cancel safety
/// Dropping it loses the request, and nothing else.
pub(super) async fn json<T: DeserializeOwned>(body: Body, deadline: Instant) -> Result<T, ApiError> {
    if !body.is_json {
        return Err(ApiError::invalid("the Content-Type must be application/json"));
    }
    let bytes = body.receive(deadline).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::invalid(error.to_string()))
}

impl Fields {
    /// Reads a body until the deadline. One that does not say that it is JSON is taken for empty, as the original does: so a
    /// page of another origin cannot send one without asking the browser's permission first.
    ///
    /// # Cancel safety
    /// Dropping it loses the request, and nothing else.
    pub(super) async fn read(body: Body, deadline: Instant) -> Result<Self, ApiError> {
        let is_json = body.is_json;
        let bytes = body.receive(deadline).await?;
        if bytes.is_empty() || !is_json {
            return Ok(Self::default());
        }
        Self::parse(&bytes).map_err(ApiError::invalid)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the body is not UTF-8".to_owned())?;
        // 1C and others on Windows put a byte order mark before it; the original took no notice of it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| match error.classify() {
                Category::Data => "the body must be a JSON object".to_owned(),
                Category::Io | Category::Syntax | Category::Eof => error.to_string(),
            })
    }

    /// A field's value; of several fields of one name it is the last one's, as in the original.
    pub(super) fn get(&self, name: &str) -> Field {
        let Some(token) = self.0.get(name).map(|value| value.get()) else {
            return Field::Absent;
        };
        match token.as_bytes().first() {
            Some(b'n') => Field::Absent,
            Some(b'"') => serde_json::from_str(token).map_or(Field::Other, Field::Text),
            Some(b'-' | b'0'..=b'9') => Field::Number(token.to_owned()),
            Some(_) | None => Field::Other,
        }
    }
}

impl Field {
    /// Whether the original calls it empty.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => text.is_empty(),
            Self::Number(_) | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart_and_the_last_of_a_name_holds() {
        let body = r#" {"a":"x","b":1e3,"c":null,"d":{"a":2},"e":-0.5,"f":1,"f":2,"g":"\ud800","h":true} "#;
        let fields = Fields::parse(body.as_bytes()).unwrap();
        let number = |text: &str| Field::Number(text.to_owned());
        assert_eq!(fields.get("a"), Field::Text("x".to_owned()));
        assert_eq!(fields.get("b"), number("1e3"));
        assert_eq!(fields.get("c"), Field::Absent);
        assert_eq!(fields.get("d"), Field::Other);
        assert_eq!(fields.get("e"), number("-0.5"));
        assert_eq!(fields.get("f"), number("2"));
        assert_eq!(fields.get("g"), Field::Other);
        assert_eq!(fields.get("h"), Field::Other);
        assert_eq!(fields.get("z"), Field::Absent);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_body() {
        let fields = Fields::parse("\u{feff}{\"a\":1}".as_bytes()).unwrap();
        assert_eq!(fields.get("a"), Field::Number("1".to_owned()));
    }

    #[test]
    fn what_is_no_object_is_refused_without_repeating_it() {
        for (body, words) in [
            ("[\"secret\"]", "the body must be a JSON object"),
            ("\"secret\"", "the body must be a JSON object"),
            ("5", "the body must be a JSON object"),
            ("secret", "expected value at line 1 column 1"),
            ("{\"a\":1", "EOF while parsing an object at line 1 column 6"),
            ("{\"a\":01}", "invalid number at line 1 column 7"),
        ] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err(), words, "{body}");
        }
        assert_eq!(
            Fields::parse(b"{\"a\":\"\xff\"}").unwrap_err(),
            "the body is not UTF-8"
        );
    }

    #[test]
    fn a_body_nested_as_deep_as_fits_harms_nobody() {
        let body = format!("{{\"a\":{}", "[".repeat(receive::MAX_BODY - 5));
        assert!(Fields::parse(body.as_bytes()).is_err());
    }
}
