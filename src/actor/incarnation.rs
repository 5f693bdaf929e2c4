//! An incarnation of an actor: as long as one thread has it, from one start of its supervisor to the next. What its supervisor
//! builds anew within that time are instances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::admission::Admission;
use super::health::{Health, State};
use super::policy::Spawn;

/// How often a thread shows that it does not hang.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// What belongs to one incarnation of an actor. After an operator's restart the next has all of its own: what hangs may never
/// give anything back.
pub(super) struct Incarnation<A: Actor> {
    pub(super) admission: Admission,
    address: watch::Sender<Option<Addr<A>>>,
    /// It is over: what still runs of it ends.
    pub(super) retired: CancellationToken,
    /// Its thread hangs, and nobody waits for it any more.
    pub(super) left_behind: CancellationToken,
    /// Its supervisor has ended.
    pub(super) ended: CancellationToken,
    heartbeats: AtomicU64,
}

impl<A: Actor> Incarnation<A> {
    pub(super) fn new(health: &Health, spawn: &Spawn) -> Self {
        Self {
            admission: Admission::new(health.shared_name(), &spawn.limits),
            address: watch::Sender::new(None),
            retired: CancellationToken::new(),
            left_behind: CancellationToken::new(),
            ended: CancellationToken::new(),
            heartbeats: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> Option<Addr<A>> {
        self.address.borrow().clone()
    }

    /// Puts another instance behind the handle, or none.
    pub(super) fn replace_address(&self, address: Option<Addr<A>>) {
        self.address.send_replace(address);
    }

    /// Counts heartbeats for as long as the thread does not hang.
    pub(super) async fn send_heartbeats(&self) {
        let mut ticks = interval(HEARTBEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.heartbeats.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }
}

/// An operator's request to have the actor replaced.
#[derive(Debug)]
pub(super) struct RestartRequest {
    /// There is one restart at a time, from its request to its end.
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) done: oneshot::Sender<Restarted>,
}

/// What an operator's restart came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
