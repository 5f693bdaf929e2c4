//! Repeats reads that PAC did not answer, as long as that is a small part of all reads.
//!
//! A PAC that restarts, or a connection that says GOAWAY, costs a read nothing but a moment. A PAC that is down must not get
//! three times the requests that it had: what is repeated comes out of a budget that reads pay into.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tower::retry::budget::{Budget as _, TpsBudget};

use super::failure::Failure;
use crate::actor::Backoff;
use crate::metric;

/// How often one read is repeated at most.
const RETRIES: u32 = 2;

/// Before the first and the second of them.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(100));

/// What failed later than this after its beginning is not repeated: a connection that is not even refused, or one that was lost
/// in the middle of long work, would take as long again.
const FAST_FAILURE: Duration = Duration::from_secs(1);

/// Of the reads of so long …
const BUDGET_WINDOW: Duration = Duration::from_mins(1);

/// … such a share may be repeats, and none beside it.
const RETRY_RATIO: f32 = 0.2;
const MIN_RETRIES_PER_S: u32 = 0;

/// What one PAC's reads may repeat.
pub(super) struct Retries {
    pac: String,
    budget: TpsBudget,
}

impl Retries {
    pub(super) fn new(pac: &str) -> Self {
        Self {
            pac: pac.to_owned(),
            budget: TpsBudget::new(BUDGET_WINDOW, MIN_RETRIES_PER_S, RETRY_RATIO),
        }
    }

    /// Does a read, again where that is worthwhile and still may end before `until`. Never for a command.
    ///
    /// # Cancel safety
    /// As the read's own: nothing goes on when this is dropped.
    pub(super) async fn run<T>(
        &self,
        until: Instant,
        read: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        self.budget.deposit();
        let mut retries = 0;
        loop {
            let failure = match read().await {
                Err(failure) if failure.is_transient() => failure,
                ended => return ended,
            };
            let next = Instant::now() + BACKOFF.delay(retries);
            if retries == RETRIES || next >= until || begun.elapsed() > FAST_FAILURE {
                return Err(failure);
            }
            if !self.budget.withdraw() {
                metric::retry_budget_exhausted(self.pac.clone()).increment(1);
                return Err(failure);
            }
            sleep_until(next).await;
            metric::retries(self.pac.clone()).increment(1);
            retries += 1;
        }
    }
}
