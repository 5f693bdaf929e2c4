//! From one start of an actor's supervisor to the next: as long as one thread has the actor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::gate::Gates;
use super::health::{Health, State};
use super::policy::Spawn;

/// Between two signs of life.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What belongs to one thread's time with the actor. When an operator has it replaced, the next tenure has all of its own:
/// what hangs may never give anything back.
pub(super) struct Tenure<A: Actor> {
    pub(super) gates: Gates,
    address: watch::Sender<Option<Addr<A>>>,
    /// It is over: what still runs of it ends.
    pub(super) retired: CancellationToken,
    /// Its thread hangs, and nobody waits for it any more.
    pub(super) left_behind: CancellationToken,
    /// Its supervisor has ended.
    pub(super) ended: CancellationToken,
    beats: AtomicU64,
}

impl<A: Actor> Tenure<A> {
    pub(super) fn new(health: &Health, spawn: &Spawn) -> Self {
        Self {
            gates: Gates::new(health.shared_name(), &spawn.limits),
            address: watch::Sender::new(None),
            retired: CancellationToken::new(),
            left_behind: CancellationToken::new(),
            ended: CancellationToken::new(),
            beats: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> Option<Addr<A>> {
        self.address.borrow().clone()
    }

    /// Puts another actor behind the handle, or none.
    pub(super) fn replace_address(&self, address: Option<Addr<A>>) {
        self.address.send_replace(address);
    }

    /// Shows that the thread lives, for as long as it does.
    pub(super) async fn beat(&self) {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// An operator's wish to have the actor replaced.
#[derive(Debug)]
pub(super) struct Wish {
    /// There is one wish at a time, from its asking to its end.
    pub(super) turn: OwnedSemaphorePermit,
    pub(super) done: oneshot::Sender<Restarted>,
}

/// What an operator's restart came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restarted {
    /// Requests in flight that did not end in time: those that waited for a reply were told that they are interrupted.
    pub unfinished: usize,
    /// Whether the old thread hangs: it was left behind.
    pub thread_left_behind: bool,
    /// The state of the actor that took its place.
    pub state: State,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}
