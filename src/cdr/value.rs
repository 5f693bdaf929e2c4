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

/// Says of each type what its column holds, and how its text becomes a value and back.
macro_rules! values {
    ($($type:ty: $kind:ident, $text:ident => $read:expr, $value:ident => $write:expr;)*) => {
        $(impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn from_text(text: Option<String>) -> Option<Self> {
                let $text = text?;
                $read
            }

            fn to_text(&self) -> Option<String> {
                let $value = self;
                Some($write)
            }
        })*
    };
}

values! {
    Uuid: Id, text => Self::try_parse(&text).ok(), id => id.to_string();
    String: Text, text => Some(text), text => text.clone();
    bool: Flag, text => text.parse().ok(), flag => flag.to_string();
    Timestamp: Moment, text => Self::from_microsecond(text.parse().ok()?).ok(), at => at.as_microsecond().to_string();
    i64: Integer, text => text.parse().ok(), number => number.to_string();
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
