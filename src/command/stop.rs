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

/// Listens for the wish to stop from here on, and gives what waits for it, however early it came. After the first, a second
/// one ends the process at once, in the signal's handler: whatever hangs.
///
/// To be called before there is anything to stop: the first process of a container is sent no signal that it does not listen
/// to, and any other is ended by one, with all that it had begun.
///
/// # Errors
/// When the operating system refuses: such a program could not be stopped in order.
pub(super) fn stop() -> io::Result<impl Future<Output = ()>> {
    let second = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT] {
        register_conditional_shutdown(number, ENDED_BY_SIGNAL + number, Arc::clone(&second))?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        actix_rt::spawn(async move {
            sleep(SAME).await;
            second.store(true, Ordering::Relaxed);
        });
    })
}
