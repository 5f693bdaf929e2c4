//! The keys as HTTP reads them: in memory, with no wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::api_key::ApiKey;
use super::secret::{LinkKey, SecretDigest};

/// After how long without a look at the ledger the keys are called stale.
const STALE_AFTER: Duration = Duration::from_secs(2);

/// All keys, kept up to date by the `LedgerActor`. Cloning it gives another door to the same ring. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Arc<watch::Sender<View>>);

#[derive(Debug, Default)]
struct View {
    loaded: Option<Arc<Loaded>>,
    /// When the ledger last said what is so.
    refreshed_at: Option<Instant>,
}

/// What is read of the ledger at once.
#[derive(Debug)]
pub(in crate::ledger) struct Loaded {
    generation: i64,
    by_digest: HashMap<SecretDigest, Arc<ApiKey>>,
    /// The live key of each name, or else the one that was revoked last.
    by_name: HashMap<String, Arc<ApiKey>>,
    live: usize,
    link_key: LinkKey,
}

/// What is known of a key that a caller showed, or that a setting names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The ledger was not read since the start: nobody can be told apart.
    NotLoaded,
    /// There is no such key.
    Nothing,
    /// It was one, until it was revoked.
    Revoked(Arc<ApiKey>),
    /// It holds.
    Live(Arc<ApiKey>),
}

/// How the ring is, for `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RingState {
    /// Whether the ledger was read since the start.
    pub loaded: bool,
    /// How many keys hold; null for a caller who sees only some of them.
    pub live: Option<usize>,
    /// How old the keys are, in seconds, where the ledger cannot be looked at: they go on being served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_s: Option<u64>,
}

impl Loaded {
    /// Puts together what was read: every live key, and the latest of those that were revoked.
    pub(in crate::ledger) fn new(
        generation: i64,
        keys: Vec<(SecretDigest, ApiKey)>,
        link_key: LinkKey,
    ) -> Self {
        let mut by_digest = HashMap::with_capacity(keys.len());
        let mut by_name: HashMap<String, Arc<ApiKey>> = HashMap::with_capacity(keys.len());
        let mut live = 0;
        for (digest, key) in keys {
            let key = Arc::new(key);
            live += usize::from(key.revoked_at.is_none());
            let better = by_name.get(&key.name).is_none_or(|other| {
                other.revoked_at.is_some() && (key.revoked_at.is_none() || key.revoked_at > other.revoked_at)
            });
            if better {
                by_name.insert(key.name.clone(), Arc::clone(&key));
            }
            by_digest.insert(digest, key);
        }
        Self {
            generation,
            by_digest,
            by_name,
            live,
            link_key,
        }
    }
}

impl KeyRing {
    fn loaded(&self) -> Option<Arc<Loaded>> {
        self.0.borrow().loaded.clone()
    }

    fn find_key(&self, find: impl FnOnce(&Loaded) -> Option<&Arc<ApiKey>>) -> Known {
        let Some(loaded) = self.loaded() else {
            return Known::NotLoaded;
        };
        match find(&loaded) {
            None => Known::Nothing,
            Some(key) if key.revoked_at.is_some() => Known::Revoked(Arc::clone(key)),
            Some(key) => Known::Live(Arc::clone(key)),
        }
    }

    /// The key that has this digest.
    pub fn find(&self, digest: &SecretDigest) -> Known {
        self.find_key(|loaded| loaded.by_digest.get(digest))
    }

    /// The key of that name: the live one, or else the one that was revoked last.
    pub fn named(&self, name: &str) -> Known {
        self.find_key(|loaded| loaded.by_name.get(name))
    }

    /// Whether any key was ever made, revoked ones too; none before the ledger was read.
    pub fn any_key_ever(&self) -> Option<bool> {
        self.loaded().map(|loaded| !loaded.by_digest.is_empty())
    }

    /// The key that signs links to recordings; none before the ledger was read.
    pub fn link_key(&self) -> Option<LinkKey> {
        self.loaded().map(|loaded| loaded.link_key)
    }

    /// How the ring is.
    pub fn state(&self) -> RingState {
        let view = self.0.borrow();
        let age = view.refreshed_at.map(|at| at.elapsed());
        RingState {
            loaded: view.loaded.is_some(),
            live: Some(view.loaded.as_ref().map_or(0, |loaded| loaded.live)),
            stale_s: age.filter(|age| *age > STALE_AFTER).map(|age| age.as_secs()),
        }
    }

    /// Waits until the ledger was read once.
    ///
    /// # Cancel safety
    /// Safe: nothing but waiting.
    pub async fn was_loaded(&self) {
        let mut changes = self.0.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = changes.wait_for(|view| view.loaded.is_some()).await;
    }

    /// The generation of what is loaded.
    pub(in crate::ledger) fn generation(&self) -> Option<i64> {
        self.loaded().map(|loaded| loaded.generation)
    }

    /// The ledger was looked at, and what is loaded still holds.
    pub(in crate::ledger) fn confirm(&self) {
        self.0.send_if_modified(|view| {
            view.refreshed_at = Some(Instant::now());
            false
        });
    }

    /// Puts what was just read in the place of what was loaded before.
    pub(in crate::ledger) fn install(&self, loaded: Loaded) {
        self.0.send_modify(|view| {
            view.loaded = Some(Arc::new(loaded));
            view.refreshed_at = Some(Instant::now());
        });
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::key::{KeySecret, api_key};

    fn key(name: &str, revoked_at: Option<i64>) -> (SecretDigest, ApiKey) {
        let mut key = api_key(name, None);
        key.revoked_at = revoked_at.map(|second| Timestamp::from_second(second).unwrap());
        (KeySecret::generate().unwrap().digest(), key)
    }

    fn load(ring: &KeyRing, keys: Vec<(SecretDigest, ApiKey)>) {
        ring.install(Loaded::new(1, keys, LinkKey([7; 32])));
    }

    #[tokio::test]
    async fn before_the_first_load_nobody_is_told_apart() {
        let ring = KeyRing::default();
        let (digest, known) = key("crm", None);
        assert_eq!(ring.find(&digest), Known::NotLoaded);
        assert_eq!(ring.named("crm"), Known::NotLoaded);
        assert_eq!((ring.any_key_ever(), ring.link_key()), (None, None));
        load(&ring, vec![(digest, known.clone())]);
        ring.was_loaded().await;
        assert_eq!(ring.find(&digest), Known::Live(Arc::new(known)));
        assert_eq!(ring.any_key_ever(), Some(true));
        assert_eq!(ring.link_key(), Some(LinkKey([7; 32])));
    }

    #[test]
    fn a_revoked_key_is_known_as_such_and_a_name_means_the_live_one() {
        let ring = KeyRing::default();
        let (old, older, live) = (key("crm", Some(20)), key("crm", Some(10)), key("crm", None));
        let gone = key("1c", Some(5));
        load(&ring, vec![older.clone(), old.clone()]);
        assert_eq!(ring.named("crm"), Known::Revoked(Arc::new(old.1.clone())));
        assert_eq!((ring.any_key_ever(), ring.state().live), (Some(true), Some(0)));
        load(&ring, vec![live.clone(), old.clone(), older, gone.clone()]);
        assert_eq!(ring.named("crm"), Known::Live(Arc::new(live.1)));
        assert_eq!(ring.find(&old.0), Known::Revoked(Arc::new(old.1)));
        assert_eq!(ring.named("1c"), Known::Revoked(Arc::new(gone.1)));
        assert_eq!(ring.find(&key("crm", None).0), Known::Nothing);
        assert_eq!(ring.state().live, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_looked_at_for_long_says_its_age() {
        let ring = KeyRing::default();
        load(&ring, Vec::new());
        assert_eq!(ring.state().stale_s, None);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(ring.state().stale_s, Some(90));
        ring.confirm();
        assert_eq!(ring.state().stale_s, None);
    }
}
