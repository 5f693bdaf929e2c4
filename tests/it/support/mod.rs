//! What the tests stand on: a whole gateway, real peers, and waiting for what must come true.

pub(crate) mod app;
#[cfg(feature = "peers")]
pub(crate) mod asterisk;
#[cfg(feature = "peers")]
mod asterisk_config;
#[cfg(feature = "peers")]
pub(crate) mod browser;
pub(crate) mod calls;
pub(crate) mod disk;
pub(crate) mod fault_proxy;
pub(crate) mod gateway;
pub(crate) mod metrics;
#[cfg(feature = "peers")]
pub(crate) mod postgres;
mod process;
pub(crate) mod program;
pub(crate) mod recorded;
pub(crate) mod served;
#[cfg(feature = "peers")]
pub(crate) mod sipp;
pub(crate) mod source;
pub(crate) mod tls;

use std::time::Duration;

/// Polls `probe` until it gives a value. Panics with `what` when `limit` has passed.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    const INTERVAL: Duration = Duration::from_millis(20);
    let polls = async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    match tokio::time::timeout(limit, polls).await {
        Ok(value) => value,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}
