//! How many bodies may be on their way at once, and how many bytes they may take.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::http::error::{ApiError, ErrorCode, saturated};
use crate::ledger::key::KeyId;

/// What may be on its way for each key, and in all.
const OF_A_KEY: Use = Use {
    bodies: 128,
    bytes: 8 << 20,
};
const IN_ALL: Use = Use {
    bodies: 512,
    bytes: 32 << 20,
};

/// When to try again.
const RETRY: Duration = Duration::from_secs(1);

/// Bodies, and the memory that they may come to, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    bodies: usize,
    bytes: usize,
}

impl Use {
    fn is_over(self, limit: Self) -> bool {
        self.bodies > limit.bodies || self.bytes > limit.bytes
    }

    fn add(&mut self, other: Self) {
        self.bodies += other.bodies;
        self.bytes += other.bytes;
    }

    fn remove(&mut self, other: Self) {
        self.bodies -= other.bodies;
        self.bytes -= other.bytes;
    }
}

/// The bodies that did not come at once, of all workers.
#[derive(Debug, Default)]
pub(in crate::http) struct UnfinishedBodies(Mutex<Uses>);

#[derive(Debug, Default)]
struct Uses {
    all: Use,
    /// Of each key; of callers without one together.
    by_key: HashMap<Option<KeyId>, Use>,
}

/// A body's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    bodies: Arc<UnfinishedBodies>,
    key: Option<KeyId>,
    takes: Use,
}

impl UnfinishedBodies {
    /// A place for one more body that is expected to take so many bytes.
    ///
    /// # Errors
    /// `rate_limited` where the key has as many as it may, `saturated` where all together have.
    pub(super) fn enter(self: &Arc<Self>, key: Option<KeyId>, bytes: usize) -> Result<Place, ApiError> {
        let takes = Use { bodies: 1, bytes };
        self.add(key, takes)?;
        Ok(Place {
            bodies: Arc::clone(self),
            key,
            takes,
        })
    }

    fn add(&self, key: Option<KeyId>, more: Use) -> Result<(), ApiError> {
        let mut uses = self.uses();
        let mut all = uses.all;
        all.add(more);
        let mut own = uses.by_key.get(&key).copied().unwrap_or_default();
        own.add(more);
        if own.is_over(OF_A_KEY) {
            let words = "too many bodies of this caller are on their way: send each of them whole";
            return Err(ErrorCode::RateLimited.error(words).retry_in(RETRY));
        }
        if all.is_over(IN_ALL) {
            return Err(saturated(RETRY));
        }
        uses.all = all;
        uses.by_key.insert(key, own);
        Ok(())
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The body takes at least so many bytes.
    ///
    /// # Errors
    /// As [`enter`](UnfinishedBodies::enter).
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let more = bytes.saturating_sub(self.takes.bytes);
        if more > 0 {
            self.bodies.add(
                self.key,
                Use {
                    bodies: 0,
                    bytes: more,
                },
            )?;
            self.takes.bytes += more;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut uses = self.bodies.uses();
        uses.all.remove(self.takes);
        if let Entry::Occupied(mut own) = uses.by_key.entry(self.key) {
            own.get_mut().remove(self.takes);
            if own.get().bodies == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_share_and_all_together_theirs() {
        let bodies = Arc::<UnfinishedBodies>::default();
        let code = |refused: Result<Place, ApiError>| refused.unwrap_err().code;
        let mut places = Vec::new();
        for _ in 0..IN_ALL.bodies / OF_A_KEY.bodies {
            let key = Some(KeyId::mint());
            for _ in 0..OF_A_KEY.bodies {
                places.push(bodies.enter(key, 1).unwrap());
            }
            assert_eq!(code(bodies.enter(key, 1)), ErrorCode::RateLimited);
        }
        assert_eq!(code(bodies.enter(None, 1)), ErrorCode::Saturated);
        places.pop();
        drop(bodies.enter(None, 1).unwrap());
        drop(places);
        let uses = bodies.uses();
        assert_eq!((uses.all, uses.by_key.len()), (Use::default(), 0));
    }

    #[test]
    fn bytes_count_as_they_come() {
        let bodies = Arc::<UnfinishedBodies>::default();
        let mut first = bodies.enter(None, OF_A_KEY.bytes - 10).unwrap();
        let mut second = bodies.enter(None, 0).unwrap();
        second.grow(10).unwrap();
        second.grow(5).unwrap();
        assert_eq!(second.grow(11).unwrap_err().code, ErrorCode::RateLimited);
        assert_eq!(
            first.grow(OF_A_KEY.bytes - 9).unwrap_err().code,
            ErrorCode::RateLimited
        );
        drop(first);
        second.grow(OF_A_KEY.bytes).unwrap();
        drop(second);
        assert_eq!(bodies.uses().all, Use::default());
    }
}
