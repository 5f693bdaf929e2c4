//! What became of a request.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The longest code that is kept; the gateway's own are shorter.
const MAX_CODE: usize = 40;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// The error's name for programs, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// No connection could be had, so nothing was sent.
    NotConnected,
    /// The connection was lost before a whole answer had come.
    ConnectionLost,
    /// No answer came in the time that the client waits.
    NoAnswer,
}

impl Outcome {
    /// Of an answer with this status and body.
    pub fn answered(status: u16, body: &[u8]) -> Self {
        let code = if (200..300).contains(&status) {
            None
        } else {
            code(body)
        };
        Self::Answered { status, code }
    }

    /// Whether the request was carried out.
    pub fn is_accepted(&self) -> bool {
        match self {
            Self::Answered { status, .. } => (200..300).contains(status),
            Self::NotConnected | Self::ConnectionLost | Self::NoAnswer => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, code } => match code {
                Some(code) => write!(f, "{status} {code}"),
                None => write!(f, "{status}"),
            },
            Self::NotConnected => f.write_str("not_connected"),
            Self::ConnectionLost => f.write_str("connection_lost"),
            Self::NoAnswer => f.write_str("no_answer"),
        }
    }
}

/// The code in the body of an error, in either of the gateway's shapes.
fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let code = body
        .pointer("/error/code")
        .or_else(|| body.get("code"))?
        .as_str()?;
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    (code.len() <= MAX_CODE && code.bytes().all(plain)).then(|| code.to_owned())
}

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How.
    pub outcome: Outcome,
    /// After how many seconds it may be repeated, where the answer said so.
    pub retry_after_s: Option<u64>,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            retry_after_s: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_by_status_and_code_in_both_shapes() {
        for (status, body, shown) in [
            (200, r#"{"code":"odd"}"#, "200"),
            (503, r#"{"error":{"code":"saturated"}}"#, "503 saturated"),
            (503, r#"{"code":"saturated"}"#, "503 saturated"),
            (502, "<html>", "502"),
            (400, r#"{"error":{"message":"no"}}"#, "400"),
            (500, r#"{"code":"79102223311 said \n"}"#, "500"),
            (429, r#"{"code":5}"#, "429"),
        ] {
            let outcome = Outcome::answered(status, body.as_bytes());
            assert_eq!(outcome.to_string(), shown, "{body}");
            assert_eq!(outcome.is_accepted(), status == 200);
        }
    }
}
