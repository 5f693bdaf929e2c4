//! The audit: each change of the keys, what operators did to integrations, and each refusal, with who, what, when and
//! from where.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::api_key::KeyId;
use crate::words::words;

/// An entry's id: a UUIDv7, so that ids are in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AuditId(pub Uuid);

words! {
    /// What happened.
    AuditAction {
        /// A key was made.
        KeyCreated = "key_created",
        /// A key was revoked.
        KeyRevoked = "key_revoked",
        /// The key that signs links was replaced: every link made before is void.
        LinksRotated = "links_rotated",
        /// An operator had an integration restarted. It is noted as soon as the restart is begun.
        IntegrationRestarted = "integration_restarted",
        /// An operator had an integration refuse all work but hang-ups.
        IntegrationPaused = "integration_paused",
        /// An operator let work in again.
        IntegrationResumed = "integration_resumed",
        /// A request was refused for who sent it.
        RequestRefused = "request_refused",
    }
}

/// Who acts, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// In words, such as the key's name, or `command line (root)`.
    pub who: String,
    /// The key, where one was used.
    pub key_id: Option<KeyId>,
    /// The address the request came from, or the host of the command line.
    pub origin: String,
    /// The request, where there was one.
    pub request_id: Option<String>,
}

/// One entry. It holds no secret and no phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// What it happened to: a key's name and id, an integration's name, or a route's pattern.
    pub subject: String,
    /// Why, where something was refused: the code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often, since the entry before it of the same kind.
    pub count: u64,
    /// Who did it, in words.
    pub who: String,
    /// The key that was used, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The address, or the host of the command line.
    pub origin: String,
    /// The request, the latest of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditEntry {
    /// An entry about something that happened once, just now.
    pub(in crate::ledger) fn change(action: AuditAction, subject: String, by: Principal) -> Self {
        Self::new(action, subject, by, None, 1)
    }

    pub(super) fn new(
        action: AuditAction,
        subject: String,
        by: Principal,
        code: Option<&'static str>,
        count: u64,
    ) -> Self {
        Self {
            id: AuditId(Uuid::now_v7()),
            at: super::now(),
            action,
            subject,
            code: code.map(str::to_owned),
            count,
            who: by.who,
            key_id: by.key_id,
            origin: by.origin,
            request_id: by.request_id,
        }
    }
}
