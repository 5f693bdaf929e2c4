//! What one poll reads: page by page, and in the end what it hands out.

use std::sync::Arc;

use uuid::Uuid;

use super::cursor::{HandedOut, Resumed};
use super::messages::SearchAfterCallId;
use super::store::{CdrStore, LegacyRow};
use crate::database::StoreError;

/// Rows in a page: some 200 KiB.
const PAGE: usize = 500;
/// How many ids of legs that were stored since are found at once: the fewer, the more often all of them are gone through.
const WINDOW: usize = 40 * PAGE;

/// One reply, as far as it was read.
pub(super) struct Reading {
    store: Arc<dyn CdrStore>,
    request: SearchAfterCallId,
    resumed: Resumed,
    /// Legs that were found and not read yet, the next one last; whether there may be more.
    found: Vec<Uuid>,
    more_to_find: bool,
    after: Option<Uuid>,
    greatest: Option<Uuid>,
    last: Option<Uuid>,
    ended: bool,
}

impl Reading {
    /// Finds out what to read; see [`LATE`](super::cursor::LATE) for `late`.
    pub(super) async fn begin(
        store: Arc<dyn CdrStore>,
        request: SearchAfterCallId,
        late: usize,
    ) -> Result<Self, StoreError> {
        let resumed = match &request.client {
            Some(client) => store.resume(&request.pbx, client, &request.call_id, late).await?,
            None => Resumed {
                since: None,
                until: 0,
            },
        };
        Ok(Self {
            store,
            request,
            resumed,
            found: Vec::new(),
            more_to_find: true,
            after: None,
            greatest: None,
            last: None,
            ended: false,
        })
    }

    /// Whether the last page was read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// The next page; it may be empty.
    ///
    /// # Cancel safety
    /// Not safe: pages may be left out after it.
    pub(super) async fn page(&mut self) -> Result<Vec<LegacyRow>, StoreError> {
        let page = match self.resumed.since {
            Some(since) => self.stored_since(since).await?,
            None => self.after_call_id().await?,
        };
        let greatest = page.iter().map(|row| row.call_history_id).max();
        self.greatest = self.greatest.max(greatest);
        self.last = page.last().map(|row| row.call_history_id).or(self.last);
        Ok(page)
    }

    async fn after_call_id(&mut self) -> Result<Vec<LegacyRow>, StoreError> {
        let SearchAfterCallId { pbx, call_id, .. } = &self.request;
        let page = self.store.after_call_id(pbx, call_id, self.after, PAGE).await?;
        self.after = page.last().map(|row| row.cdr_id);
        self.ended = page.len() < PAGE;
        Ok(page)
    }

    async fn stored_since(&mut self, since: i64) -> Result<Vec<LegacyRow>, StoreError> {
        let SearchAfterCallId { pbx, call_id, .. } = &self.request;
        if self.found.is_empty() && self.more_to_find {
            let until = self.resumed.until;
            let found = self
                .store
                .legs_since(pbx, since, until, call_id, self.after, WINDOW);
            self.found = found.await?;
            self.more_to_find = self.found.len() == WINDOW;
            self.after = self.found.last().copied();
            self.found.reverse();
        }
        let rest = self.found.len().saturating_sub(PAGE);
        let mut ids = self.found.split_off(rest);
        ids.reverse();
        self.ended = self.found.is_empty() && !self.more_to_find;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.store.legs(pbx, &ids).await
    }

    /// Remembers what the reply hands out, before the client can come back with it.
    pub(super) async fn hand_out(&self) -> Result<(), StoreError> {
        let (Some(client), Some(greatest), Some(last)) = (&self.request.client, self.greatest, self.last)
        else {
            return Ok(());
        };
        let until = self.resumed.until;
        let handed_out = HandedOut {
            greatest,
            last,
            until,
        };
        self.store.hand_out(&self.request.pbx, client, handed_out).await
    }
}
