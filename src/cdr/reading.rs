//! What one poll reads: page by page, and in the end what it hands out.

use std::sync::Arc;

use uuid::Uuid;

use super::cursor::{HandedOut, LATE, Resumed, Since};
use super::messages::SearchAfterCallId;
use super::store::{CdrStore, LegacyRow};
use crate::database::StoreError;

/// The sizes of a reply's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Rows in a page.
    pub(super) page: usize,
    /// How many ids of legs that were stored since are found at once: the fewer, the more often all of them are gone
    /// through.
    pub(super) window: usize,
    /// See [`LATE`].
    pub(super) late: usize,
}

impl Sizes {
    /// A page has some 200 KiB, a window some 300.
    pub(super) const REPLY: Self = Self {
        page: 500,
        window: 20_000,
        late: LATE,
    };
}

/// One reply, as far as it was read.
pub(super) struct Reading {
    store: Arc<CdrStore>,
    request: SearchAfterCallId,
    sizes: Sizes,
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
    /// Finds out what to read.
    pub(super) async fn begin(
        store: Arc<CdrStore>,
        request: SearchAfterCallId,
        sizes: Sizes,
    ) -> Result<Self, StoreError> {
        let resumed = match &request.client {
            Some(client) => {
                store
                    .resume(&request.pbx, client, &request.call_id, sizes.late)
                    .await?
            }
            None => Resumed {
                since: None,
                until: 0,
                next: None,
            },
        };
        Ok(Self {
            store,
            request,
            sizes,
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
        let page = self
            .store
            .after_call_id(pbx, call_id, self.after, self.sizes.page)
            .await?;
        self.after = page.last().map(|row| row.cdr_id);
        self.ended = page.len() < self.sizes.page;
        Ok(page)
    }

    async fn stored_since(&mut self, since: Since) -> Result<Vec<LegacyRow>, StoreError> {
        let SearchAfterCallId { pbx, call_id, .. } = &self.request;
        if self.found.is_empty() && self.more_to_find {
            let until = self.resumed.until;
            let found = self
                .store
                .legs_since(pbx, since, until, call_id, self.after, self.sizes.window);
            self.found = found.await?;
            self.more_to_find = self.found.len() == self.sizes.window;
            self.after = self.found.last().copied();
            self.found.reverse();
        }
        let rest = self.found.len().saturating_sub(self.sizes.page);
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
        let Some(client) = &self.request.client else {
            return Ok(());
        };
        let call_id = &self.request.call_id;
        // As ids are stored: in another spelling it is compared as the text that it is.
        let asked = Uuid::try_parse(call_id)
            .ok()
            .filter(|id| id.to_string() == *call_id);
        let handed_out = HandedOut {
            greatest: self.greatest,
            last: self.last,
            asked: asked.filter(|_| self.resumed.since.is_none()),
            from: self.resumed.since.map_or(0, |since| since.greater),
            until: self.resumed.until,
        };
        let pbx = &self.request.pbx;
        self.store.hand_out(pbx, client, handed_out).await?;
        let Resumed { next, until, .. } = self.resumed;
        match next {
            None => Ok(()),
            Some(next) => self.store.advance(pbx, client, call_id, next, until).await,
        }
    }
}
