//! The window: legs that ended since the last poll, and a little before it.

use tokio::time::Instant;
use uuid::Uuid;

use super::interface::{CollectError, Source, Store};
use super::queries;
use super::reply::{ended_page, last_of_full};
use super::{Collector, Poll, SLICE, whole};
use crate::cdr::ids::{floor_id, hours_before, seconds_before};
use crate::cdr::{Cdr, Position};

impl<S: Source, T: Store> Collector<S, T> {
    /// Lists what ended since `overlap` before the position and takes what is new. The position follows page by
    /// page, so that a window as long as a week of downtime is worked off over many polls; it never passes over
    /// anything that was not listed.
    ///
    /// Rows that arrived altered do not hold the position: the overlap lists them again, and the sweep after it.
    ///
    /// A source's clock that jumps back takes the position back with it.
    pub(super) async fn window(&mut self, poll: &mut Poll) -> Result<(), CollectError> {
        let reached = poll.position.window.unwrap_or(poll.clock).min(poll.clock);
        let overlap = i64::try_from(self.settings.overlap_s).unwrap_or(i64::MAX);
        let from = seconds_before(reached, overlap);
        let floor = floor_id(hours_before(from, self.settings.longest_leg_h));
        let mut after = (from, Uuid::nil());
        let slice = Instant::now() + SLICE;
        let mut garbled = 0;
        loop {
            let statement = queries::list_ended(floor, after);
            let page = ended_page(&self.source, statement, after).await?;
            let rest = last_of_full(&page);
            let position = Position {
                window: Some(rest.map_or(poll.clock, |(ended_at, _)| ended_at.clamp(reached, poll.clock))),
                // What started before the first poll of all is the backfill's, what appears late after it the sweep's.
                backfilled_to: poll.position.backfilled_to.or(Some(poll.clock)),
                backfill_from: Some(self.backfill_from(poll)),
                swept_at: poll.position.swept_at.or(Some(poll.clock)),
                clock: Some(poll.clock),
                ..poll.position.clone()
            };
            let listed: Vec<_> = page.into_iter().map(|((_, id), digest)| (id, digest)).collect();
            garbled += self.absorb::<Cdr>(&listed, |_| Some(position.clone())).await?;
            poll.position = position;
            let Some(place) = rest else { break };
            after = place;
            if Instant::now() >= slice {
                poll.unfinished = true;
                break;
            }
        }
        whole(garbled)
    }
}
