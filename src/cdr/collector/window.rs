//! The window: legs that ended since the last look, and a little before it.

use tokio::time::Instant;
use uuid::Uuid;

use super::ids::{floor_id, hours_before, seconds_before};
use super::ports::{CollectError, Source, Store};
use super::queries::{self, LIST_ROWS};
use super::reply::ended_page;
use super::{Collector, Look, SLICE, whole};
use crate::cdr::{Cdr, Position};

impl<S: Source, T: Store> Collector<S, T> {
    /// Lists what ended since `overlap` before the position and takes what is new. The position follows page by
    /// page, so that a window as long as a week of downtime is worked off over many looks; it never passes over
    /// anything that was not listed.
    ///
    /// Rows that arrived altered do not hold the position: the overlap lists them again, and the sweep after it.
    ///
    /// A source's clock that jumps back takes the position back with it.
    pub(super) async fn window(&mut self, look: &mut Look) -> Result<(), CollectError> {
        let reached = look.position.window.unwrap_or(look.clock).min(look.clock);
        let overlap = i64::try_from(self.settings.overlap_s).unwrap_or(i64::MAX);
        let from = seconds_before(reached, overlap);
        let floor = floor_id(hours_before(from, self.settings.longest_leg_h));
        let mut after = (from, Uuid::nil());
        let slice = Instant::now() + SLICE;
        let mut garbled = 0;
        loop {
            let statement = queries::list_ended(floor, after);
            let page = ended_page(&self.source, statement, after).await?;
            let rest = page
                .last()
                .filter(|_| page.len() == LIST_ROWS)
                .map(|(place, _)| *place);
            let position = Position {
                window: Some(rest.map_or(look.clock, |(ended_at, _)| ended_at.clamp(reached, look.clock))),
                // What started before the first look of all is the backfill's, what appears late after it the sweep's.
                backfilled_to: look.position.backfilled_to.or(Some(look.clock)),
                backfill_from: Some(self.backfill_from(look)),
                swept_at: look.position.swept_at.or(Some(look.clock)),
                ..look.position.clone()
            };
            let listed: Vec<_> = page.into_iter().map(|((_, id), digest)| (id, digest)).collect();
            garbled += self.absorb::<Cdr>(&listed, |_| Some(position.clone())).await?;
            look.position = position;
            match rest {
                Some(place) if Instant::now() < slice => after = place,
                Some(_) => {
                    look.unfinished = true;
                    break;
                }
                None => break,
            }
        }
        whole(garbled)
    }
}
