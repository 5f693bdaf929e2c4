//! The first half of an orderly stop: whoever sends requests is told, then nothing more is accepted, then what is open ends.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::join;
use tokio::pin;
use tokio::time::{Instant, sleep, timeout_at};

use crate::http::Lifecycle;
use crate::service_manager;
use crate::settings::HttpSettings;

/// How long the server may take to cut what is open in the end: its workers look each second.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// Drains the server. When this ends, it answers nothing any more.
///
/// # Cancel safety
/// Dropping it leaves the server where it is: never accepting again what it did not.
pub(super) async fn drain(server: &ServerHandle, lifecycle: &Lifecycle, http: &HttpSettings) {
    lifecycle.draining();
    let (open, for_ms) = (lifecycle.open_requests(), http.drain_ms);
    tracing::info!(open, for_ms, "draining: /readyz answers 503, requests are taken");
    join!(service_manager::stopping(), sleep(http.drain_time()));

    lifecycle.stopping();
    let (open, at_most_ms) = (lifecycle.open_requests(), http.shutdown_ms);
    tracing::info!(open, at_most_ms, "accepting no more, open requests end");
    let deadline = Instant::now() + http.shutdown_timeout();
    let stopped = server.stop(true);
    pin!(stopped);
    if timeout_at(deadline, &mut stopped).await.is_err() {
        tracing::warn!(open = lifecycle.open_requests(), "open requests are cut off");
        // Also past this: nobody may hold up the rest of the stop.
        if timeout_at(deadline + CUT_PATIENCE, stopped).await.is_err() {
            tracing::error!("the server does not stop");
        }
    }
}
