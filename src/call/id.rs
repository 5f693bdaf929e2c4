//! Ids of calls.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A call's id: a UUIDv7 of ours, so that ids are in the order of time. On Asterisk it is the id of the call's first
/// channel too.
#[derive(
    derive_more::Display,
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

impl CallId {
    /// A new one.
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }

    /// The least id of this moment, to the millisecond.
    pub fn least_at(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_millisecond()).unwrap_or_default();
        Self(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// When it was minted, to the millisecond; none of an id that is not ours.
    pub fn minted_at(self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
    }

    /// Whether it is the id of this channel too.
    pub fn is_of(self, channel: &str) -> bool {
        *self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *channel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_moment_begin_with_its_least_one() {
        let before = Timestamp::now();
        let id = CallId::mint();
        let later = before.as_millisecond() + 60_000;
        assert!(CallId::least_at(before) < id);
        assert!(id < CallId::least_at(Timestamp::from_millisecond(later).unwrap()));
        let minted_at = id.minted_at().unwrap();
        assert!(minted_at.as_millisecond() >= before.as_millisecond());
        assert!(CallId::least_at(minted_at) <= id);
        assert_eq!(CallId(Uuid::new_v4()).minted_at(), None);
        assert!(CallId::least_at(Timestamp::MIN) < id);
    }
}
