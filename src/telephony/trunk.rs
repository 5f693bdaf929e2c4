//! Names of Asterisk's own configuration that become part of a dial string or a dialplan location.

use serde::Deserialize;

/// The longest name Asterisk keeps for an endpoint or a context (`AST_MAX_CONTEXT` and sorcery ids: 80 with NUL).
const MAX_LENGTH: usize = 79;

/// A name with characters that would change the meaning of a dial string. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_LENGTH} letters, digits, dots, dashes or underscores")]
pub struct InvalidName;

fn parse(text: String) -> Result<String, InvalidName> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
    if valid { Ok(text) } else { Err(InvalidName) }
}

/// A PJSIP endpoint that leads to a PBX or a carrier.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TrunkName(String);

/// A dialplan context.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct DialplanContext(String);

impl TryFrom<String> for TrunkName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        parse(text).map(Self)
    }
}

impl TryFrom<String> for DialplanContext {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_change_a_dial_string() {
        assert!(TrunkName::try_from("3cx-trunk_1.a".to_owned()).is_ok());
        for text in ["", "a b", "a&b", "a/b", "a@b", "a;b", "a\r\n", "sip:x"] {
            assert_eq!(TrunkName::try_from(text.to_owned()), Err(InvalidName), "{text:?}");
        }
    }
}
