//! Recordings appear after their legs, so they have a watermark of their own: the source's serial numbers.

use jiff::Timestamp;
use tokio::time::Instant;

use super::interface::{CollectError, Source, Store};
use super::queries;
use super::reply::{key_page, last_of_full, one, parse};
use super::{Collector, Poll, SLICE, whole};
use crate::cdr::{Position, Recording};

/// How far the poll reaches back behind the watermark: numbers are taken before rows are committed, so that a lower
/// one may appear after a higher one.
const OVERLAP: i64 = 200;

impl<S: Source, T: Store> Collector<S, T> {
    /// Lists recordings from a little below the watermark and takes what is new. The watermark moves only onto
    /// numbers that were seen in a row itself.
    pub(super) async fn recordings(&mut self, poll: &mut Poll) -> Result<(), CollectError> {
        let (mut reached, mut from) = match poll.position.recordings {
            Some(reached) => (reached, reached.saturating_sub(OVERLAP)),
            None => {
                let first = self.recording_before(self.backfill_from(poll)).await?;
                (first, first.saturating_add(1))
            }
        };
        let slice = Instant::now() + SLICE;
        let mut garbled = 0;
        loop {
            let page = key_page::<Recording>(&self.source, from, i64::MAX).await?;
            let rest = last_of_full(&page);
            let position = &poll.position;
            garbled += self
                .absorb::<Recording>(&page, |greatest| {
                    reached = reached.max(greatest.unwrap_or(reached));
                    (position.recordings != Some(reached)).then(|| Position {
                        recordings: Some(reached),
                        ..position.clone()
                    })
                })
                .await?;
            poll.position.recordings = Some(reached);
            let Some(number) = rest else { break };
            from = number.saturating_add(1);
            if Instant::now() >= slice {
                poll.unfinished = true;
                break;
            }
        }
        whole(garbled)
    }

    /// The greatest number of a recording that began before `at`, or 0.
    pub(super) async fn recording_before(&self, at: Timestamp) -> Result<i64, CollectError> {
        let statement = queries::first_recording(at);
        let name = statement.name();
        let [number] = one(&self.source, statement).await?;
        parse(name, &number)
    }
}
