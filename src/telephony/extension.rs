//! A subscriber of the PBX itself.

/// The longest extension that a 3CX has.
const MAX_DIGITS: usize = 10;

/// An extension: 1 to 10 digits, or exactly as many as the PBX uses where that is known.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension(String);

/// Text that is no extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExtension {
    /// Something else than digits, none, or too many.
    #[error("must be 1 to {MAX_DIGITS} digits")]
    NotDigits,
    /// Digits, but not as many as this PBX's extensions have.
    #[error("must have {0} digits")]
    WrongLength(usize),
}

impl Extension {
    /// Parses an extension; `length` is the PBX's own, where it is configured.
    ///
    /// # Errors
    /// See [`InvalidExtension`].
    pub fn parse(text: &str, length: Option<usize>) -> Result<Self, InvalidExtension> {
        if !(1..=MAX_DIGITS).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidExtension::NotDigits);
        }
        match length {
            Some(length) if text.len() != length => Err(InvalidExtension::WrongLength(length)),
            Some(_) | None => Ok(Self(text.to_owned())),
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_to_the_configured_length() {
        assert!(Extension::parse("102", None).is_ok());
        assert!(Extension::parse("102", Some(3)).is_ok());
        assert_eq!(
            Extension::parse("1020", Some(3)),
            Err(InvalidExtension::WrongLength(3))
        );
    }

    #[test]
    fn is_digits_only() {
        for text in ["", "+102", "10a", "102@x", "12345678901", "1&2", "1/2"] {
            assert_eq!(
                Extension::parse(text, None),
                Err(InvalidExtension::NotDigits),
                "{text:?}"
            );
        }
    }
}
