//! Calls that nobody asked for, so that there is something to see.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use tokio::time::sleep;

use super::RowTiming;
use super::pac::Core;
use super::rows::{QueueCall, queue_call};

/// Has a call come in now and then, until it is dropped.
pub(super) async fn calls(core: Arc<Core>, every: Duration, seed: u64, timing: RowTiming) {
    let mut rng = Rng::with_seed(seed);
    loop {
        sleep(every.mul_f64(0.5 + rng.f64())).await;
        let talk = SignedDuration::from_millis(rng.i64(1_000..20_000));
        let call = queue_call(&mut rng, &core.mint, core.now(), talk);
        core.spawn(write_down(Arc::clone(&core), call, timing));
    }
}

/// Makes the rows of a call visible as it would go on.
async fn write_down(core: Arc<Core>, mut call: QueueCall, timing: RowTiming) {
    let ended = call.ended_at();
    let mut now = call.legs.first().map_or(ended, |leg| leg.cdr_started_at);
    call.legs.sort_by_key(|leg| leg.cdr_ended_at);
    if timing == RowTiming::LegEnd {
        for leg in &call.legs {
            sleep(leg.cdr_ended_at.duration_since(now).unsigned_abs()).await;
            now = leg.cdr_ended_at;
            core.publish(std::slice::from_ref(leg), Vec::new());
        }
        call.legs.clear();
    } else {
        sleep(ended.duration_since(now).unsigned_abs()).await;
    }
    core.publish(&call.legs, call.recordings);
}
