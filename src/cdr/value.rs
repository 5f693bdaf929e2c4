//! Values as the source's text has them: ids in lower case, `true` and `false`, moments as microseconds since 1970.

use jiff::Timestamp;
use uuid::Uuid;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `uuid`.
    Id,
    /// A `varchar`.
    Text,
    /// A `boolean`.
    Flag,
    /// A `timestamptz`, to the microsecond.
    Moment,
    /// An `integer` or a `bigint`.
    Integer,
}

impl Kind {
    /// For messages: the kind with its article.
    #[must_use]
    pub fn article(self) -> &'static str {
        match self {
            Self::Id => "a uuid",
            Self::Text => "text",
            Self::Flag => "true or false",
            Self::Moment => "microseconds since 1970",
            Self::Integer => "a whole number",
        }
    }
}

/// A Rust type that a column's values have.
pub(super) trait Value: Sized {
    /// What the column holds.
    const KIND: Kind;

    /// The value of the source's text; None when it is not one.
    fn from_text(text: Option<String>) -> Option<Self>;

    /// The source's text for the value.
    fn to_text(&self) -> Option<String>;
}

impl Value for Uuid {
    const KIND: Kind = Kind::Id;

    fn from_text(text: Option<String>) -> Option<Self> {
        Self::try_parse(&text?).ok()
    }

    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn from_text(text: Option<String>) -> Option<Self> {
        text
    }

    fn to_text(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Flag;

    fn from_text(text: Option<String>) -> Option<Self> {
        text?.parse().ok()
    }

    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Timestamp {
    const KIND: Kind = Kind::Moment;

    fn from_text(text: Option<String>) -> Option<Self> {
        Self::from_microsecond(text?.parse().ok()?).ok()
    }

    fn to_text(&self) -> Option<String> {
        Some(self.as_microsecond().to_string())
    }
}

impl Value for i64 {
    const KIND: Kind = Kind::Integer;

    fn from_text(text: Option<String>) -> Option<Self> {
        text?.parse().ok()
    }

    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn from_text(text: Option<String>) -> Option<Self> {
        match text {
            None => Some(None),
            text => T::from_text(text).map(Some),
        }
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref().and_then(T::to_text)
    }
}
