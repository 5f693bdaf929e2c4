//! The wish to stop: SIGTERM, or Ctrl-C.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// The exit code of a process that a signal ended is the signal's number and this: 143 for SIGTERM, 130 for Ctrl-C.
const ENDED_BY_SIGNAL: i32 = 128;

/// How long after the first signal another still counts as the same: some send it to the process and to its group.
const SAME: Duration = Duration::from_millis(200);

/// Waits for the wish to stop. A second one ends the process at once, in the signal's handler: whatever hangs.
///
/// Without signals to listen to, the program could not be stopped in order: better that it stops at once.
pub(super) async fn stop() {
    let second = match first().await {
        Ok(second) => second,
        Err(error) => return tracing::error!(%error, "cannot listen for signals"),
    };
    actix_rt::spawn(async move {
        sleep(SAME).await;
        second.store(true, Ordering::Relaxed);
    });
}

/// Waits for the first signal. While what it returns is true, another ends the process.
async fn first() -> io::Result<Arc<AtomicBool>> {
    let second = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT] {
        register_conditional_shutdown(number, ENDED_BY_SIGNAL + number, Arc::clone(&second))?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(second)
}
