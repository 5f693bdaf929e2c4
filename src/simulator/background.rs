//! Calls that nobody asked for, so that there is something to see.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::appearing::{appear, appearances};
use super::pac::Core;
use super::rows::queue_call;

/// Has a call come in now and then, until it is dropped.
pub(super) async fn calls(core: Arc<Core>, every: Duration) {
    let mut rng = Rng::with_seed(core.settings.seed);
    loop {
        sleep(every.mul_f64(0.5 + rng.f64())).await;
        let now = core.now();
        let talk = rng.u32(1..20);
        let call = queue_call(&mut rng, &core.mint, now, talk);
        let rows = appearances(vec![call], core.settings.row_timing);
        let calling = Arc::clone(&core);
        core.spawn(async move { appear(&calling, rows, now, 1.0).await });
    }
}
