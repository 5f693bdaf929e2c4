//! Taking a renewed pair without a restart.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Tls;
use super::files::Print;
use crate::metric;

/// Between two looks at the files. Polling, as notices of changes say nothing of a symbolic link's target that is
/// exchanged two folders above, and are not sent by network file systems.
const LOOK: Duration = Duration::from_secs(1);

impl Tls {
    /// Looks at the files again and again, and takes what can be used; until the runtime ends.
    pub(in crate::http) async fn keep_up(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        metric::tls_refused().set(0.0);
        // Whatever was there at the start is read once more: it may have changed since.
        let mut tried: Option<Print> = None;
        let mut seen: Option<Print> = None;
        loop {
            looks.tick().await;
            let print = self.blocking(|tls| tls.files.print()).await;
            // What has just changed may be half of a change: it must stay for the time between two looks.
            let settled = print == seen;
            seen = print;
            if !settled || seen == tried {
                continue;
            }
            let first = tried.is_none();
            tried.clone_from(&seen);
            match self.blocking(|tls| tls.files.read()).await {
                Some(Ok(pair)) => {
                    self.pair.replace(pair);
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

    /// Works with the files beside the runtime: a network file system that hangs holds up nothing but the reload.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(Self) -> T + Send + 'static) -> Option<T> {
        let tls = self.clone();
        tokio::task::spawn_blocking(move || work(tls)).await.ok()
    }
}
