//! Reloads a renewed certificate without a restart.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Tls;
use super::files::FileVersions;
use crate::metric;

/// How often the files are checked. Polling, as inotify does not see a symbolic link that is replaced two directories above,
/// nor changes on network file systems.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Tls {
    /// Checks the files and reloads what can be used, until the runtime ends.
    pub(in crate::http) async fn reload_on_change(self) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        metric::tls_refused().set(0.0);
        // The files are read once more after the start: they may have changed since.
        let mut last_tried: Option<FileVersions> = None;
        let mut seen: Option<FileVersions> = None;
        loop {
            ticks.tick().await;
            let versions = self.blocking(|tls| tls.files.versions()).await;
            // What has just changed may be half written: it must stay the same for one interval.
            let settled = versions == seen;
            seen = versions;
            if !settled || seen == last_tried {
                continue;
            }
            let first = last_tried.is_none();
            last_tried.clone_from(&seen);
            match self.blocking(|tls| tls.files.read()).await {
                Some(Ok(certificate)) => {
                    self.resolver.replace(certificate);
                    metric::tls_refused().set(0.0);
                    if !first {
                        tracing::info!("the certificate changed and is served from here on");
                    }
                }
                Some(Err(error)) => {
                    metric::tls_refused().set(1.0);
                    tracing::warn!(%error, "the certificate changed and cannot be used: the previous one is served");
                }
                None => {}
            }
        }
    }

    /// Accesses the files on a thread that may block: a network file system that hangs delays nothing but the reload.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(Self) -> T + Send + 'static) -> Option<T> {
        let tls = self.clone();
        tokio::task::spawn_blocking(move || work(tls)).await.ok()
    }
}
