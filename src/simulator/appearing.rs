//! Rows that become visible when their time has come.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::RowTiming;
use super::pac::Core;
use super::rows::{Appearance, FinishedCall, Row};

/// The rows of calls in the order in which they appear.
pub(super) fn appearances(calls: Vec<FinishedCall>, timing: RowTiming) -> Vec<Appearance> {
    let mut rows = Vec::new();
    for call in calls {
        let over = (timing == RowTiming::CallEnd).then(|| call.ended_at());
        let FinishedCall { legs, recordings } = call;
        let legs = legs
            .into_iter()
            .map(|leg| (leg.cdr_ended_at, Row::Cdr(Box::new(leg))));
        let recordings = recordings.into_iter().map(|recording| {
            let ended = recording.end_time.unwrap_or_default();
            (ended, Row::Recording(Box::new(recording)))
        });
        rows.extend(legs.chain(recordings).map(|(ended, what)| Appearance {
            at: over.unwrap_or(ended),
            what,
        }));
    }
    rows.sort_by_key(|row| row.at);
    rows
}

/// Makes rows visible, `scale` seconds for each second that they are after `from`.
pub(super) async fn appear(core: &Arc<Core>, rows: Vec<Appearance>, from: Timestamp, scale: f64) {
    let began = Instant::now();
    for Appearance { at, what } in rows {
        let after = Duration::try_from(at.duration_since(from)).unwrap_or_default();
        sleep_until(began + after.mul_f64(scale)).await;
        match what {
            Row::Cdr(leg) => core.publish(&[*leg], Vec::new()),
            Row::Recording(recording) => core.publish(&[], vec![*recording]),
        }
    }
}
