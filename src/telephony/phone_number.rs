//! An external subscriber's number.

/// The longest number that E.164 allows.
const MAX_DIGITS: usize = 15;

/// Digits with an optional `+`, 15 at most: nothing in it can mean anything to a dialplan, SQL or a URL.
///
/// `Debug` masks it, for logs; `Display` is the number itself, for the PBX.
#[derive(derive_more::Display, derive_more::Debug, Clone, PartialEq, Eq, Hash)]
#[debug("{}", mask(_0))]
pub struct PhoneNumber(String);

/// Text that is no phone number. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 15 digits with an optional leading +")]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// Parses the text of a number.
    ///
    /// # Errors
    /// When there is anything but 1 to 15 digits after an optional `+`.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = Self::digits_of(text);
        let valid = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPhoneNumber)
        }
    }

    /// A number's digits: without the `+`, which some write and others do not.
    pub fn digits_of(number: &str) -> &str {
        number.strip_prefix('+').unwrap_or(number)
    }

    /// The number in E.164, where it is: with a `+`. Without one it takes the region of who dials to tell.
    pub fn e164(&self) -> Option<&str> {
        Some(self.as_str()).filter(|number| number.starts_with('+'))
    }

    /// The number as dialled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A number as logs may show it: its last two digits, and the first four where enough stay hidden between.
pub fn mask(number: &str) -> String {
    let shown: Vec<char> = number.chars().collect();
    let head = if shown.len() >= 10 { 4 } else { 0 };
    let tail = shown.len().saturating_sub(2).max(head);
    shown
        .iter()
        .enumerate()
        .map(|(i, c)| {
            if i < head || (i >= tail && shown.len() > 4) {
                *c
            } else {
                '*'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_digits_with_an_optional_plus() {
        for text in ["1", "112", "79102223311", "+79102223311", "123456789012345"] {
            let number = PhoneNumber::parse(text).unwrap();
            assert_eq!(number.as_str(), text);
            assert_eq!(number.e164().is_some(), text.starts_with('+'), "{text}");
        }
    }

    #[test]
    fn refuses_all_else() {
        let bad = [
            "",
            "+",
            "++7",
            "7+",
            "-1",
            "1.5",
            "1e3",
            "1234567890123456",
            "100&PJSIP/200",
            "100/n",
            "100@trunk",
            "1;2",
            "1\r\n2",
            "1 2",
            "٣",
            "100,1",
            "${X}",
        ];
        for text in bad {
            assert_eq!(PhoneNumber::parse(text), Err(InvalidPhoneNumber), "{text:?}");
        }
    }

    #[test]
    fn logs_show_little_of_it() {
        assert_eq!(
            format!("{:?}", PhoneNumber::parse("79102223311").unwrap()),
            "7910*****11"
        );
        assert_eq!(mask("102"), "***");
        assert_eq!(mask("12345"), "***45");
    }
}
