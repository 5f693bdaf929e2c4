//! What a `LedgerActor` can be asked about keys. Every change is in the audit, written with it in one transaction.

use super::api_key::{ApiKey, KeyId, NewKey};
use super::audit::{AuditEntry, AuditId, Principal};
use super::secret::KeySecret;
use crate::actor::{Classify, FailureClass, requests};
use crate::database::StoreError;

requests! {
    CreateKey: Write "create_key" -> CreatedKey, KeyError;
    ListKeys: Read "list_keys" -> Vec<ApiKey>, KeyError;
    RevokeKey: Write "revoke_key" -> (), KeyError;
    RotateLinkKey: Write "rotate_link_key" -> (), KeyError;
    ListAudit: Read "list_audit" -> Vec<AuditEntry>, KeyError;
}

/// Keys that hold at once, at most.
pub const MAX_KEYS: u32 = 1_000;

/// Entries of the audit that are read at once, at most.
pub const MAX_AUDIT: u32 = 1_000;

/// Why a key was not made or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A live key has that name.
    #[error("there is a key of that name already: revoke it first, or take another name")]
    NameTaken,
    /// There are as many as there may be.
    #[error("there are {MAX_KEYS} keys already: revoke those that are not used")]
    TooMany,
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for KeyError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::NameTaken | Self::TooMany | Self::Unknown => FailureClass::Answered,
            Self::NoRandomness => FailureClass::NotAsked,
            Self::Store(error) => error.failure_class(),
        }
    }
}

impl From<getrandom::Error> for KeyError {
    fn from(_: getrandom::Error) -> Self {
        Self::NoRandomness
    }
}

/// Request: make a key. Where no reply comes it may have been made, with a secret that nobody has: then it is to be
/// revoked by its name.
#[derive(Debug, Clone)]
pub struct CreateKey {
    /// The key.
    pub key: NewKey,
    /// Who asks.
    pub by: Principal,
}

/// A key that was just made, with the secret that is told only here.
#[derive(Debug, Clone)]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret.
    pub secret: KeySecret,
}

/// Request: the live keys, oldest first, then those that were revoked, the latest first: at most [`MAX_KEYS`] of each.
#[derive(Debug, Clone, Copy)]
pub struct ListKeys;

/// Request: revoke a key. One that is revoked already stays as it is.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    /// The key.
    pub id: KeyId,
    /// Who asks.
    pub by: Principal,
}

/// Request: replace the key that signs links to recordings. Every link made before is void then.
#[derive(Debug, Clone)]
pub struct RotateLinkKey {
    /// Who asks.
    pub by: Principal,
}

/// Request: entries of the audit, newest first.
#[derive(Debug, Clone, Copy)]
pub struct ListAudit {
    /// Only those before this one.
    pub before: Option<AuditId>,
    /// How many, at most [`MAX_AUDIT`].
    pub limit: u32,
}
