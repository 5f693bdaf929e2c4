//! Long answers, page by page: no transaction and no connection outlives a page.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::timeout;
use uuid::Uuid;

use super::messages::{CdrPages, SearchAfterCallId};
use super::store::{CdrStore, LegacyRow};
use crate::actor::{Health, Permit, spawn_detached};
use crate::database::StoreError;

/// Rows in a page: some 200 KiB.
const PAGE: usize = 500;
/// Pages that wait for their reader.
const PAGES_AHEAD: usize = 2;
/// How long the reader may take for one page.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// How long the whole may take.
const WHOLE: Duration = Duration::from_secs(300);

type Page = Result<Vec<LegacyRow>, StoreError>;

/// Reads the first page; if there are more, a detached task reads them for whoever holds the [`CdrPages`], and keeps
/// `permit` and a place among the `long_answers` until it ends.
///
/// # Cancel safety
/// Dropping the future ends everything and gives the permit back.
pub(super) async fn search(
    store: Arc<dyn CdrStore>,
    request: SearchAfterCallId,
    permit: Option<Permit>,
    long_answers: Arc<Semaphore>,
    health: &Health,
) -> Result<CdrPages, StoreError> {
    let first = page(store.as_ref(), &request, None).await?;
    // One place more than pages may wait: the reason of an early end always finds room.
    let (pages, rest) = mpsc::channel(PAGES_AHEAD + 1);
    if let Some(after) = more_after(&first) {
        let Ok(place) = long_answers.try_acquire_owned() else {
            return Err(StoreError::PoolTimeout);
        };
        let feed = async move {
            let _held = (permit, place);
            let Ok(place) = pages.clone().try_reserve_owned() else {
                // The reader is gone already.
                return;
            };
            let mut ending = Ending(Some(place));
            let fed = tokio::select! {
                fed = timeout(WHOLE, feed(store.as_ref(), &request, after, &pages)) => fed,
                () = pages.closed() => return,
            };
            ending.settle(fed.unwrap_or(Err(StoreError::Unavailable("reading took too long".to_owned()))));
        };
        spawn_detached(health, "cdr_pages", feed);
    }
    Ok(CdrPages { first, rest })
}

async fn page(
    store: &dyn CdrStore,
    request: &SearchAfterCallId,
    after: Option<Uuid>,
) -> Result<Vec<LegacyRow>, StoreError> {
    store
        .after_call_id(&request.pbx, &request.call_id, after, PAGE)
        .await
}

/// Where the next page begins, if there can be one.
fn more_after(page: &[LegacyRow]) -> Option<Uuid> {
    if page.len() < PAGE {
        return None;
    }
    page.last().map(|row| row.cdr_id)
}

async fn feed(
    store: &dyn CdrStore,
    request: &SearchAfterCallId,
    after: Uuid,
    pages: &mpsc::Sender<Page>,
) -> Result<(), StoreError> {
    let mut next = Some(after);
    while let Some(after) = next {
        let Ok(room) = timeout(TAKEN_WITHIN, pages.reserve()).await else {
            return Err(StoreError::Unavailable("a page was not taken in time".to_owned()));
        };
        let Ok(room) = room else {
            // The reader is gone: nobody misses the rest.
            return Ok(());
        };
        let page = page(store, request, Some(after)).await?;
        next = more_after(&page);
        room.send(Ok(page));
    }
    Ok(())
}

/// Tells the reader of every end but the good one, that of a panic included: half an answer must never look whole.
struct Ending(Option<OwnedPermit<Page>>);

impl Ending {
    fn settle(&mut self, fed: Result<(), StoreError>) {
        if let (Some(place), Err(error)) = (self.0.take(), fed) {
            place.send(Err(error));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.settle(Err(StoreError::Unavailable("reading was interrupted".to_owned())));
    }
}
