//! Secrets: what a caller shows, what is kept of it, and the key that signs links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// What every key begins with, so that a leaked one is recognised.
const PREFIX: &str = "mege_";

/// Random bytes in a key: more than anybody can guess, so that one plain SHA-256 of it may be kept.
const RANDOM: usize = 32;

/// A key as its owner has it: `mege_` and 43 characters of base64url. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct KeySecret(SecretString);

impl KeySecret {
    /// Makes one from 256 random bits of the operating system.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into()))
    }

    /// The key, to be shown once to whoever asked for it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.expose()).into())
    }
}

/// The SHA-256 of a key: all that the ledger and this process keep of it.
#[derive(derive_more::Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[debug("SecretDigest(…)")]
pub struct SecretDigest(pub(in crate::ledger) [u8; 32]);

impl SecretDigest {
    /// The digest of what a caller showed; none where it does not even look like a key.
    pub fn of(shown: &[u8]) -> Option<Self> {
        let random = shown.strip_prefix(PREFIX.as_bytes())?;
        // 43 characters hold 258 bits; the decoder refuses those whose last two are not zero.
        let mut bytes = [0; RANDOM];
        let written = URL_SAFE_NO_PAD.decode_slice(random, &mut bytes).ok()?;
        (written == RANDOM).then(|| Self(Sha256::digest(shown).into()))
    }
}

/// The key that signs links to recordings: 256 random bits. `Debug` does not show it.
#[derive(derive_more::Debug, Clone, Copy, PartialEq, Eq)]
#[debug("LinkKey(…)")]
pub struct LinkKey(pub(in crate::ledger) [u8; RANDOM]);

impl LinkKey {
    /// Makes one from 256 random bits of the operating system.
    pub(in crate::ledger) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A key of these bytes, to compare signatures with those that others made.
    #[cfg(test)]
    pub(crate) const fn of(bytes: [u8; RANDOM]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for an HMAC.
    pub fn expose(&self) -> &[u8; RANDOM] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_digest_alone() {
        let secret = KeySecret::generate().unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), 48);
        assert!(text.starts_with("mege_"));
        assert_eq!(SecretDigest::of(text.as_bytes()), Some(secret.digest()));
        let another = KeySecret::generate().unwrap();
        assert_ne!(another.digest(), secret.digest());
    }

    #[test]
    fn what_does_not_look_like_a_key_has_no_digest() {
        let zeros = "A".repeat(43);
        assert!(SecretDigest::of(format!("mege_{zeros}").as_bytes()).is_some());
        for text in [
            String::new(),
            "mege_".to_owned(),
            zeros.clone(),
            format!("MEGE_{zeros}"),
            format!("mege_{zeros}A"),
            format!("mege_{}", &zeros[1..]),
            format!("mege_{}=", &zeros[1..]),
            format!("mege_{}+", &zeros[1..]),
            // The same bits as 43 times A, written otherwise.
            format!("mege_{}B", &zeros[1..]),
            format!(" mege_{zeros}"),
            format!("mege_{}", "A".repeat(10_000)),
        ] {
            assert_eq!(SecretDigest::of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let secret = KeySecret::generate().unwrap();
        let link = LinkKey::generate().unwrap();
        let shown = format!("{secret:?} {:?} {link:?}", secret.digest());
        assert!(!shown.contains(secret.expose()), "{shown}");
        assert_eq!(shown.matches('…').count(), 2, "{shown}");
    }
}
