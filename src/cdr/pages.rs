//! Long answers, page by page: no transaction and no connection outlives a page.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::timeout;

use super::messages::{CdrPages, SearchAfterCallId};
use super::reading::{Reading, Sizes};
use super::store::{CdrStore, LegacyRow};
use crate::actor::{Bulkhead, Health, Permit, spawn_detached};
use crate::database::StoreError;

/// Pages that wait for their reader.
const PAGES_AHEAD: usize = 2;
/// How long the reader may take for one page.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// How long the whole may take.
const WHOLE: Duration = Duration::from_secs(300);

type Page = Result<Vec<LegacyRow>, StoreError>;

/// Reads the first page; if there are more, a detached task reads them for whoever holds the [`CdrPages`], and has a place
/// among the `long_answers` instead of the `permit` until it ends.
///
/// # Cancel safety
/// Dropping the future ends everything and gives the permit back.
pub(super) async fn search(
    store: Arc<CdrStore>,
    request: SearchAfterCallId,
    permit: Option<Permit>,
    long_answers: Bulkhead,
    health: &Health,
) -> Result<CdrPages, StoreError> {
    let mut reading = Reading::begin(store, request, Sizes::REPLY).await?;
    let first = reading.page().await?;
    if reading.ended() {
        reading.hand_out().await?;
    }
    // One place more than pages may wait: the reason of an early end always finds room.
    let (pages, rest) = mpsc::channel(PAGES_AHEAD + 1);
    if !reading.ended() {
        // Who waits for a place there, or for a slow reader, keeps no short answer out.
        let client = permit.and_then(|permit| permit.client().cloned());
        let Some(place) = long_answers.admit_client(client).await else {
            return Err(StoreError::TooManyAnswers);
        };
        let feed = async move {
            let _held = place;
            let Ok(place) = pages.clone().try_reserve_owned() else {
                // The reader is gone already.
                return;
            };
            let mut guard = EndGuard(Some(place));
            let fed = tokio::select! {
                fed = timeout(WHOLE, feed(reading, &pages)) => fed,
                () = pages.closed() => return,
            };
            guard.settle(fed.unwrap_or(Err(StoreError::Unavailable("reading took too long".to_owned()))));
        };
        spawn_detached(health, "cdr_pages", feed);
    }
    Ok(CdrPages { first, rest })
}

async fn feed(mut reading: Reading, pages: &mpsc::Sender<Page>) -> Result<(), StoreError> {
    while !reading.ended() {
        let Ok(room) = timeout(TAKEN_WITHIN, pages.reserve()).await else {
            return Err(StoreError::Unavailable("a page was not taken in time".to_owned()));
        };
        let Ok(room) = room else {
            // The reader is gone: nobody misses the rest.
            return Ok(());
        };
        room.send(Ok(reading.page().await?));
    }
    reading.hand_out().await
}

/// Tells the reader of every end but the good one, that of a panic included: half an answer must never look whole.
struct EndGuard(Option<OwnedPermit<Page>>);

impl EndGuard {
    fn settle(&mut self, fed: Result<(), StoreError>) {
        if let (Some(place), Err(error)) = (self.0.take(), fed) {
            place.send(Err(error));
        }
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.settle(Err(StoreError::Unavailable("reading was interrupted".to_owned())));
    }
}
