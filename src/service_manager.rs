//! What the service manager (systemd) is told, where the gateway runs under one that asks for it: `Type=notify` in the
//! unit, `NOTIFY_SOCKET` in the environment. Elsewhere nothing is sent.
//!
//! There is no watchdog: a service manager that kills a gateway whose HTTP server is stuck would end the integrations
//! that work with it. `/livez` is for whoever wants that.

use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a service manager may take to read.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Requests are answered from here on.
///
/// # Cancel safety
/// Safe: what was begun is sent.
pub(crate) async fn ready(port: u16) {
    let status = format!("listening on port {port}");
    tell(move || sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])).await;
}

/// What is under way may end, and then the program does.
///
/// # Cancel safety
/// Safe: what was begun is sent.
pub(crate) async fn stopping() {
    tell(|| sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("draining")])).await;
}

/// On a thread of its own, which nobody waits for at the end: the socket blocks when its reader hangs.
async fn tell(send: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
    let (sent, told) = oneshot::channel();
    let thread = thread::Builder::new().name("notify".to_owned()).spawn(move || {
        // Nobody waits for it any more: then it came too late, which was said.
        let _ = sent.send(send());
    });
    let failure = match (thread, timeout(TIMEOUT, told).await) {
        (Err(error), _) | (Ok(_), Ok(Ok(Err(error)))) => error.to_string(),
        (Ok(_), Ok(Ok(Ok(())))) => return,
        (Ok(_), Ok(Err(_)) | Err(_)) => "it does not read".to_owned(),
    };
    tracing::warn!(failure, "the service manager was not told");
}
