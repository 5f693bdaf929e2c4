//! The part of the ledger's store that holds keys, secrets and the audit.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::StoreError;
use crate::ledger::key::{ApiKey, AuditEntry, AuditId, KeyError, KeyId, LinkKey, Principal, SecretDigest};

/// Where keys are kept. Every method is bounded by the store's time-out.
///
/// Each change increments the generation in its own transaction and writes its entry of the audit there: who reads the
/// generation, then the keys, has at least that generation's keys.
///
/// # Cancel safety
/// Every method may be dropped: a write is then done as a whole or not at all.
#[async_trait]
pub(in crate::ledger) trait KeyStore: Send + Sync {
    /// A number that is another after each change of a key or a secret.
    async fn key_generation(&self) -> Result<i64, StoreError>;

    /// Every live key, oldest first, then the latest of those that were revoked.
    async fn keys(&self) -> Result<Vec<(SecretDigest, ApiKey)>, StoreError>;

    /// The key that signs links: `proposal`, unless there is one already.
    async fn link_key(&self, proposal: LinkKey) -> Result<LinkKey, StoreError>;

    /// Keeps a key.
    async fn create_key(&self, key: ApiKey, digest: SecretDigest, by: Principal) -> Result<(), KeyError>;

    /// Revokes a key; one that is revoked already stays as it is.
    async fn revoke_key(&self, id: KeyId, by: Principal) -> Result<(), KeyError>;

    /// Puts this key in the place of the one that signs links.
    async fn rotate_link_key(&self, key: LinkKey, by: Principal) -> Result<(), StoreError>;

    /// Entries of the audit, newest first.
    async fn audit(&self, before: Option<AuditId>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// Writes entries of the audit in one commit; those that are there already stay as they are.
    async fn write_audit(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError>;

    /// Deletes entries from before that time, at most [`FORGET`] of them; says how many.
    async fn forget_audit(&self, before: Timestamp) -> Result<usize, StoreError>;
}

/// Entries of the audit that one statement deletes, at most: it holds nobody up for long.
pub(in crate::ledger) const FORGET: u32 = 1_000;

/// The name of the key that signs links.
pub(super) const LINK_KEY: &str = "link_key";

/// What the audit says a created key is.
pub(super) fn describe(key: &ApiKey) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let pbxs = match &key.pbxs {
        None => "every PBX".to_owned(),
        Some(pbxs) => pbxs.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    format!("{} ({}): {}; {pbxs}", key.name, key.id, scopes.join(", "))
}

/// A set as the stores have it.
pub(super) fn to_json<T: Serialize>(set: &BTreeSet<T>) -> Result<String, StoreError> {
    serde_json::to_string(set).map_err(|_| StoreError::Query("a list cannot be written".to_owned()))
}

/// A set from what the stores have.
pub(super) fn from_json<T: DeserializeOwned + Ord>(text: &str) -> Result<BTreeSet<T>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Decode("a key".to_owned()))
}

/// A secret of the one length that secrets have.
pub(super) fn bytes32(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Decode("a secret".to_owned()))
}
