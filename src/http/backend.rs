//! What the routes ask the actors for.

use std::fmt;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Failure;
use crate::ari::Originate;
use crate::call::CallId;
use crate::cdr::{CdrPages, ClientId};
use crate::ledger::key::{
    ApiKey, AuditEntry, CreateKey, CreatedKey, LinkKey, ListAudit, RevokeKey, RotateLinkKey,
};
use crate::recordings::{OpenedRecording, RecordingId};

/// The actors behind the routes: each method is one `ask`. Those of the original's routes ask the default Asterisk, or
/// the CDR store for the default 3CX, and are [`Failure::not_configured`] where there is none.
#[async_trait(?Send)]
pub trait Gateway: fmt::Debug + Send + Sync {
    /// Places a call. Where no Asterisk is configured, the failure is also [`Failure::not_placed`].
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, the call goes on without its caller.
    async fn originate(&self, request: Originate, deadline: Instant) -> Result<(), Failure>;

    /// The name of the PBX that carries a call of this gateway, while the call lives. Asks nobody.
    fn pbx_of_call(&self, call: CallId) -> Option<String>;

    /// Ends a call that lives, on the PBX that [carries](Self::pbx_of_call) it. It may be asked for again.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, it is hung up all the same.
    async fn hang_up(&self, pbx: &str, call: CallId, deadline: Instant) -> Result<(), Failure>;

    /// The greatest `call_history_id` that is stored; it is remembered that the client was handed it out.
    ///
    /// # Cancel safety
    /// Safe: what is remembered and was not handed out is more than the client needs.
    async fn last_call_id(&self, client: ClientId, deadline: Instant) -> Result<Option<Uuid>, Failure>;

    /// What was stored since the client was handed out this `call_history_id`; if it was not, all legs with a greater
    /// one than this text.
    ///
    /// # Cancel safety
    /// As [`last_call_id`](Self::last_call_id).
    async fn cdrs_after(
        &self,
        call_id: String,
        client: ClientId,
        deadline: Instant,
    ) -> Result<CdrPages, Failure>;

    /// Opens a recording: finds its file in the CDR store, then asks the actor of its directory.
    ///
    /// # Cancel safety
    /// Safe: a read. What was opened for nobody is closed.
    async fn open_recording(&self, id: RecordingId, deadline: Instant) -> Result<OpenedRecording, Failure>;

    /// The key that signs links to recordings; none before it was read.
    fn link_key(&self) -> Option<LinkKey>;

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
