//! What the routes ask for, and of whom.

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::integrations::Integrations;
use crate::actor::AskError;
use crate::ari::Originate;
use crate::call::CallId;
use crate::cdr::{CdrPages, ClientId, GetLastCallId, GetRecording, SearchAfterCallId};
use crate::http::{Failure, Gateway};
use crate::ledger::key::{
    ApiKey, AuditEntry, CreateKey, CreatedKey, LinkKey, ListAudit, ListKeys, RevokeKey, RotateLinkKey,
};
use crate::recordings::{OpenRecording, OpenedRecording, RecordingError, RecordingId};

#[async_trait(?Send)]
impl Gateway for Integrations {
    async fn originate(&self, request: Originate, deadline: Instant) -> Result<(), Failure> {
        let name = self.default_asterisk.as_ref();
        let Some(trunk) = name.and_then(|name| self.trunks.get(name)) else {
            return Err(Failure::not_configured("Asterisk").not_placed());
        };
        Ok(trunk.originate(request, deadline).await?)
    }

    fn pbx_of_call(&self, call: CallId) -> Option<String> {
        self.stores.registry.get(call).map(|call| call.pbx().to_owned())
    }

    async fn hang_up(&self, pbx: &str, call: CallId, deadline: Instant) -> Result<(), Failure> {
        let (Some(trunk), Some(call)) = (self.trunks.get(pbx), self.stores.registry.get(call)) else {
            return Err(Failure::no_such_call());
        };
        trunk.hang_up(&call, deadline).await.map_err(Failure::of_hangup)
    }

    async fn last_call_id(&self, client: ClientId, deadline: Instant) -> Result<Option<Uuid>, Failure> {
        let Some(pbx) = self.default_pac.clone() else {
            return Err(Failure::not_configured("3CX"));
        };
        let client = self.late_rows.then_some(client);
        Ok(self
            .stores
            .cdr
            .ask(GetLastCallId { pbx, client }, deadline)
            .await?)
    }

    async fn cdrs_after(
        &self,
        call_id: String,
        client: ClientId,
        deadline: Instant,
    ) -> Result<CdrPages, Failure> {
        let Some(pbx) = self.default_pac.clone() else {
            return Err(Failure::not_configured("3CX"));
        };
        let search = SearchAfterCallId {
            pbx,
            call_id,
            client: self.late_rows.then_some(client),
        };
        Ok(self.stores.cdr.ask(search, deadline).await?)
    }

    async fn open_recording(&self, id: RecordingId, deadline: Instant) -> Result<OpenedRecording, Failure> {
        let RecordingId { pbx, id_recording } = id;
        let recordings = self
            .recordings
            .get(&pbx)
            .ok_or_else(Failure::recording_not_found)?;
        let stored = self
            .stores
            .cdr
            .ask(GetRecording { pbx, id_recording }, deadline)
            .await?;
        let stored = stored.ok_or_else(Failure::recording_not_found)?;
        let path = stored.recording_url.ok_or_else(Failure::recording_file_missing)?;
        match recordings.ask(OpenRecording { path }, deadline).await {
            Err(AskError::Reply(RecordingError::Missing)) if stored.archived => {
                Err(Failure::recording_archived())
            }
            opened => Ok(opened?),
        }
    }

    fn link_key(&self) -> Option<LinkKey> {
        self.stores.keys.link_key()
    }

    async fn create_key(&self, request: CreateKey, deadline: Instant) -> Result<CreatedKey, Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn list_keys(&self, deadline: Instant) -> Result<Vec<ApiKey>, Failure> {
        Ok(self.stores.ledger.ask(ListKeys, deadline).await?)
    }

    async fn revoke_key(&self, request: RevokeKey, deadline: Instant) -> Result<(), Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn rotate_link_key(&self, request: RotateLinkKey, deadline: Instant) -> Result<(), Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }

    async fn list_audit(&self, request: ListAudit, deadline: Instant) -> Result<Vec<AuditEntry>, Failure> {
        Ok(self.stores.ledger.ask(request, deadline).await?)
    }
}
