//! The first backfill: what was there before the gateway, hour by hour of start, the latest first.

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::bucket::Reconciled;
use super::interface::{CollectError, Source, Store};
use super::reply::{one, parse, unexpected};
use super::sweep::{TRIES, note_hole, pause};
use super::{Collector, Poll, SLICE, queries};
use crate::cdr::ids::{floor_id, hour_of, hours_before, seconds_before, started_at};
use crate::cdr::{Batch, Cdr, Position};

impl<S: Source, T: Store> Collector<S, T> {
    /// Goes on with the backfill for a slice of time; the position follows hour by hour. Hours without legs are
    /// leapt over: each step asks for the latest leg below. An hour of which not all rows
    /// arrive holds up none that are older: it is noted as a hole, which the sweeps try again until it is whole.
    pub(super) async fn backfill(&mut self, poll: &mut Poll) -> Result<(), CollectError> {
        let slice = Instant::now() + SLICE;
        let horizon = self.backfill_from(poll);
        while let Some(to) = poll.position.backfilled_to.filter(|to| *to > horizon) {
            if Instant::now() >= slice {
                poll.unfinished = true;
                break;
            }
            self.backfill_hour(poll, horizon, to).await?;
        }
        Ok(())
    }

    /// One step of a backfill: the latest hour before `to` that has legs. Answers how many.
    pub(super) async fn backfill_hour(
        &mut self,
        poll: &mut Poll,
        horizon: Timestamp,
        to: Timestamp,
    ) -> Result<u64, CollectError> {
        let asked = Instant::now();
        let (reached, rows) = match self.latest(horizon, to).await? {
            None => (horizon, 0),
            Some(started_at) => {
                let hour = hour_of(started_at).max(horizon);
                let until = seconds_before(hour, -3_600).min(to);
                let compared = match self.reconcile::<Cdr>(floor_id(hour), floor_id(until)).await {
                    Ok(compared) => compared,
                    Err(error) => {
                        self.backfill_failures += 1;
                        if self.backfill_failures < TRIES {
                            return Err(error);
                        }
                        Reconciled { rows: 0, garbled: 1 }
                    }
                };
                self.backfill_failures = 0;
                if compared.garbled > 0 && !note_hole(&mut poll.position.holes, hour) {
                    return Err(CollectError::Garbled { rows: 1 });
                }
                // Rows that did not all arrive count when they have.
                (hour, if compared.garbled == 0 { compared.rows } else { 0 })
            }
        };
        poll.position.backfilled_to = Some(reached);
        self.keep(&poll.position).await?;
        pause(asked).await;
        Ok(rows)
    }

    /// Stores a position alone.
    pub(super) async fn keep(&mut self, position: &Position) -> Result<(), CollectError> {
        self.apply(Batch {
            position: Some(position.clone()),
            ..Batch::default()
        })
        .await
    }

    /// Where the backfill ends: counted from the first poll, not from this one.
    pub(super) fn backfill_from(&self, poll: &Poll) -> Timestamp {
        let hours = self.settings.backfill_days.saturating_mul(24);
        let from = || hour_of(hours_before(poll.clock, hours));
        poll.position.backfill_from.unwrap_or_else(from)
    }

    /// When the latest leg that started between these moments did.
    pub(super) async fn latest(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Timestamp>, CollectError> {
        let (from, until) = (floor_id(from), floor_id(to));
        let statement = queries::latest_cdr(from, until);
        let name = statement.name();
        let [id] = one(&self.source, statement).await?;
        if id == "none" {
            return Ok(None);
        }
        let id: Uuid = parse(name, &id)?;
        match started_at(id) {
            Some(at) if from <= id && id < until => Ok(Some(at)),
            Some(_) | None => Err(unexpected(name, "a leg that was not asked for")),
        }
    }
}
