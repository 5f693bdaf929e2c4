//! How an actor is started, and when it is started again.

use std::time::Duration;

use super::backoff::Backoff;
use super::bulkhead::Limits;
use super::class::Class;
use super::health::Health;

/// Which thread an actor lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// A thread of its own: a blocked or busy actor blocks nobody else. For production.
    Dedicated,
    /// The caller's: the only place where tokio's paused clock reaches it. For tests.
    Current,
}

/// When a failed actor is rebuilt, and when no more.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    /// The wait before each rebuild, by the number of failures within the window.
    pub backoff: Backoff,
    /// Failures allowed within the window; one more and the actor stays down. OTP calls this the intensity.
    pub budget: usize,
    /// The window of the budget.
    pub window: Duration,
}

impl Default for RestartPolicy {
    /// Five failures in 30 s, rebuilt after 25 ms to 800 ms: the fifth delay is the longest.
    fn default() -> Self {
        const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(800));
        Self {
            backoff: BACKOFF,
            budget: 5,
            window: Duration::from_secs(30),
        }
    }
}

/// How to start an actor.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// The name on `/status`, in metrics and logs.
    pub name: String,
    /// The classes of its operations, each with the bound on its work.
    pub limits: Vec<(Class, Limits)>,
    /// Its thread.
    pub placement: Placement,
    /// Its restarts.
    pub restart: RestartPolicy,
    /// Actors whose restarts are its own too: what it remembers of them would be wrong.
    pub depends_on: Vec<Health>,
}

impl Spawn {
    /// One that is restarted by the default policy, and for nobody else's sake.
    pub fn new(name: String, placement: Placement, limits: Vec<(Class, Limits)>) -> Self {
        Self {
            name,
            limits,
            placement,
            restart: RestartPolicy::default(),
            depends_on: Vec::new(),
        }
    }
}
