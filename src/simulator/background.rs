//! Calls that nobody asked for, so that there is something to see.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use tokio::time::sleep;

use super::pac::Core;
use super::rows::queue_call;

/// Has a call come in now and then, until it is dropped. Its rows appear as the call would end.
pub(super) async fn calls(core: Arc<Core>, every: Duration, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    loop {
        sleep(every.mul_f64(0.5 + rng.f64())).await;
        let talk = SignedDuration::from_millis(rng.i64(1_000..20_000));
        let start = core.now();
        let call = queue_call(&mut rng, &core.mint, start, talk);
        let lasts = call.ended_at().duration_since(start).unsigned_abs();
        let later = Arc::clone(&core);
        core.spawn(async move {
            sleep(lasts).await;
            later.publish(&call.legs, call.recordings);
        });
    }
}
