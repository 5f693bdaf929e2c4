//! What the routes ask the actors for.

use std::fmt;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Failure;
use crate::ari::{Originate, Originated};
use crate::cdr::CdrPages;
use crate::ledger::key::{ApiKey, AuditEntry, CreateKey, CreatedKey, ListAudit, RevokeKey, RotateLinkKey};

/// The actors behind the routes: each method is one `ask`. Those of the original's routes ask the default Asterisk, or
/// the CDR store for the default 3CX, and are [`Failure::not_configured`] where there is none.
#[async_trait(?Send)]
pub trait Gateway: fmt::Debug + Send + Sync {
    /// Places a call. Where no Asterisk is configured, the failure is also [`Failure::not_placed`].
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, the call goes on without its caller.
    async fn originate(&self, request: Originate, deadline: Instant) -> Result<Originated, Failure>;

    /// The greatest `call_history_id` that is stored.
    ///
    /// # Cancel safety
    /// Safe: a read.
    async fn last_call_id(&self, deadline: Instant) -> Result<Option<Uuid>, Failure>;

    /// All legs with a greater `call_history_id` than this text.
    ///
    /// # Cancel safety
    /// Safe: a read.
    async fn cdrs_after(&self, call_id: String, deadline: Instant) -> Result<CdrPages, Failure>;

    /// Makes a key.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): the key may be made with nobody there to be told it.
    async fn create_key(&self, request: CreateKey, deadline: Instant) -> Result<CreatedKey, Failure>;

    /// Every key.
    ///
    /// # Cancel safety
    /// Safe: a read.
    async fn list_keys(&self, deadline: Instant) -> Result<Vec<ApiKey>, Failure>;

    /// Revokes a key.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): it may be revoked all the same.
    async fn revoke_key(&self, request: RevokeKey, deadline: Instant) -> Result<(), Failure>;

    /// Replaces the key that signs links to recordings.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): it may be replaced all the same.
    async fn rotate_link_key(&self, request: RotateLinkKey, deadline: Instant) -> Result<(), Failure>;

    /// Entries of the audit.
    ///
    /// # Cancel safety
    /// Safe: a read.
    async fn list_audit(&self, request: ListAudit, deadline: Instant) -> Result<Vec<AuditEntry>, Failure>;
}
