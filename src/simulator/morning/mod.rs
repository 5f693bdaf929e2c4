//! A morning of a small call centre: calls of the latest hours, whose rows appear within a moment.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::appearing::{appear, appearances};
use super::firm::CUSTOMERS;
use super::pac::Core;
use super::rows::{FinishedCall, Mint, tell};

/// Has the morning that ended now take place within `takes`, each row in its turn.
pub(super) async fn morning(core: Arc<Core>, takes: Duration) {
    let start = core.now() - plan::SPAN;
    let calls = calls(core.settings.seed, &core.mint, start);
    let rows = appearances(calls, core.settings.row_timing);
    let scale = takes.as_secs_f64() / plan::SPAN.as_secs_f64();
    appear(&core, rows, start, scale).await;
}

/// The calls of the morning that began at `start`.
fn calls(seed: u64, mint: &Mint, start: Timestamp) -> Vec<FinishedCall> {
    let mut rng = Rng::with_seed(seed);
    let calls = plan::CALLS.iter();
    calls
        .map(|planned| {
            let customer = &CUSTOMERS[planned.customer % CUSTOMERS.len()];
            let at = planned.at(start);
            tell(&mut rng, mint, at, customer, planned.kind)
        })
        .collect()
}

#[cfg(test)]
mod tests;
