//! Whether PAC can be reached, as far as the latest request has shown.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::actor::Health;

/// What `/status` shows of one PAC.
#[derive(Debug, Clone, Copy, Serialize)]
struct Connection {
    reachable: bool,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'static str>,
}

/// Publishes changes only; health is published once an outage, not once a request.
pub(super) struct Reachability {
    health: Health,
    connection: RefCell<Option<Connection>>,
    last_answer_at: Cell<Instant>,
    failure: Notify,
}

impl Reachability {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            connection: RefCell::new(None),
            last_answer_at: Cell::new(Instant::now()),
            failure: Notify::new(),
        }
    }

    /// Waits until PAC has said nothing for `time`, or has become unreachable.
    pub(super) async fn idle(&self, time: Duration) {
        loop {
            let end = self.last_answer_at.get() + time;
            let failure = timeout_at(end, self.failure.notified()).await.is_ok();
            if failure || self.last_answer_at.get() + time <= end {
                return;
            }
        }
    }

    /// PAC answered, whatever it said.
    pub(super) fn answered(&self) {
        self.last_answer_at.set(Instant::now());
        self.change(true, None);
    }

    /// It did not, for this reason.
    pub(super) fn failed(&self, reason: &'static str) {
        self.change(false, Some(reason));
    }

    fn change(&self, reachable: bool, error: Option<&'static str>) {
        let before = *self.connection.borrow();
        let same = before.filter(|before| before.reachable == reachable);
        let now = Connection {
            reachable,
            since: same.map_or_else(Timestamp::now, |before| before.since),
            last_error: error.or(before.and_then(|before| before.last_error)),
        };
        if same.is_none_or(|before| before.last_error != now.last_error) {
            *self.connection.borrow_mut() = Some(now);
            self.health.publish(reachable, &now);
        }
        if same.is_none() {
            if !reachable {
                self.failure.notify_one();
            }
            tracing::info!(
                actor = self.health.name(),
                reachable,
                error,
                "PAC's connection changed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_latest_answer() {
        let reachability = Reachability::new(Health::new("pac.test"));
        let start = Instant::now();
        let answers = async {
            for _ in 0..5 {
                tokio::time::sleep(10 * SECOND).await;
                reachability.answered();
            }
        };
        tokio::join!(answers, reachability.idle(15 * SECOND));
        assert_eq!(start.elapsed(), 65 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_ends_the_silence_and_is_published_with_its_beginning() {
        let health = Health::new("pac.test");
        let reachability = Reachability::new(health.clone());
        reachability.answered();
        let failed = async {
            tokio::time::sleep(SECOND).await;
            reachability.failed("connection lost");
        };
        let start = Instant::now();
        tokio::join!(failed, reachability.idle(15 * SECOND));
        assert_eq!(start.elapsed(), SECOND);

        let first = health.report();
        assert!(!first.usable);
        assert_eq!(first.detail["reachable"], false);
        reachability.failed("no connection");
        let second = health.report();
        assert_eq!(second.detail["last_error"], "no connection");
        assert_eq!(second.detail["since"], first.detail["since"], "one outage");
        reachability.answered();
        let third = health.report();
        assert!(third.usable);
        assert_eq!(third.detail["last_error"], "no connection", "still worth knowing");
    }
}
