//! From one start of an actor's supervisor to the next: as long as one thread has the actor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use actix::{Actor, Addr};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::gate::Gates;
use super::health::Health;
use super::policy::Spawn;

/// Between two signs of life.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What belongs to one thread's time with the actor. When an operator has it replaced, the next tenure has all of its own:
/// what hangs may never give anything back.
pub(super) struct Tenure<A: Actor> {
    pub(super) gates: Gates,
    address: RwLock<Option<Addr<A>>>,
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
            address: RwLock::new(None),
            retired: CancellationToken::new(),
            left_behind: CancellationToken::new(),
            ended: CancellationToken::new(),
            beats: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> Option<Addr<A>> {
        self.address
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another actor behind the handle, or none.
    pub(super) fn replace_address(&self, address: Option<Addr<A>>) {
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = address;
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
