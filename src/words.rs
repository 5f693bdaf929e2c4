//! Closed sets of words: an enum each, whose values are the same words in the API, in the stores, in metrics and in the
//! documents.

/// Makes an enum of words, with what it derives besides after a colon.
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        $name:ident$(: $derived:ident)? { $($(#[$of_one:meta])* $value:ident = $word:literal,)+ }
    ) => {
        $(#[doc = $about])+
        $(#[derive($derived)])?
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$of_one])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// The value of a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        // Derived, it would not see the words: utoipa takes none from a macro.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let words = Self::ALL.iter().map(|value| value.as_str());
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .description(Some([$($about.trim()),+].join("\n")))
                    .enum_values(Some(words))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema as _;

    use crate::actor::{BreakerState, Class, RestartReason, State};
    use crate::call::{CallState, Direction, Disposition, LegRole, LegState, Mode, Origin};
    use crate::http::Phase;
    use crate::ledger::key::{AuditAction, Scope};

    #[test]
    fn a_word_is_the_same_wherever_it_stands() {
        macro_rules! same {
            ($($name:ident)*) => {$(for value in $name::ALL {
                assert_eq!(json!(value), json!(value.as_str()));
                assert_eq!($name::parse(value.as_str()), Some(*value));
                let documented = json!($name::schema())["enum"].clone();
                assert!(documented.as_array().unwrap().contains(&json!(value)), "{documented}");
            })*};
        }
        same! {
            CallState Origin Direction Mode LegRole LegState Disposition Scope AuditAction State RestartReason Class
            BreakerState Phase
        }
        assert_eq!(Disposition::parse("Answered"), None);
        assert_eq!(Scope::parse("Admin"), None);
    }
}
