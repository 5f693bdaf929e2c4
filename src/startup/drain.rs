//! The first half of an orderly stop: whoever sends requests is told, then nothing more is accepted, then what is open ends.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::join;
use socket2::{SockFilter, SockRef};
use tokio::pin;
use tokio::time::{Instant, sleep, timeout_at};

use crate::http::Lifecycle;
use crate::service_manager;
use crate::settings::HttpSettings;

/// How long the server may take to cut what is open in the end: its workers look each second.
const CUT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long connections that are being opened get to be accepted: more than a round trip, and than a busy host takes.
const LAST_CONNECTIONS: Duration = Duration::from_millis(250);

/// Drains the server, which has another handle of `listener`. When this ends, it answers nothing any more.
///
/// # Cancel safety
/// Dropping it leaves the server where it is: never accepting again what it did not.
pub(super) async fn drain(
    server: &ServerHandle,
    listener: TcpListener,
    lifecycle: &Lifecycle,
    http: &HttpSettings,
) {
    lifecycle.draining();
    let (open, for_ms) = (lifecycle.open_requests(), http.drain_ms);
    tracing::info!(open, for_ms, "draining: /readyz answers 503, requests are taken");
    join!(service_manager::stopping(), sleep(http.drain_time()));

    match ignore_new(&listener) {
        Ok(()) => sleep(LAST_CONNECTIONS).await,
        Err(error) => tracing::debug!(%error, "connections that are being opened will be reset"),
    }
    // Closed with the server's own: as long as it is open, nobody is refused.
    drop(listener);
    lifecycle.stopping();
    let (open, at_most_ms) = (lifecycle.open_requests(), http.shutdown_ms);
    tracing::info!(open, at_most_ms, "accepting no more, open requests end");
    let deadline = Instant::now() + http.shutdown_timeout();
    let stopped = server.stop(true);
    pin!(stopped);
    if timeout_at(deadline, &mut stopped).await.is_err() {
        tracing::warn!(open = lifecycle.open_requests(), "open requests are cut off");
        // Also past this: nobody may hold up the rest of the stop.
        if timeout_at(deadline + CUT_TIMEOUT, stopped).await.is_err() {
            tracing::error!("the server does not stop");
        }
    }
}

/// Lets no connection begin any more, while those that have begun go on. A listener that is closed resets connections that it
/// has not accepted, also those on which a request was sent already.
fn ignore_new(listener: &TcpListener) -> io::Result<()> {
    // The packets of a listening socket begin with the TCP header; SYN is bit 1 of its byte 13 (RFC 9293, 3.1). A classic
    // BPF program (linux/filter.h): load that byte; SYN set, or not; pass all of the packet; pass nothing of it.
    const PROGRAM: [(u16, u8, u8, u32); 4] = [
        (0x30, 0, 0, 13),
        (0x45, 1, 0, 0x02),
        (0x06, 0, 0, u32::MAX),
        (0x06, 0, 0, 0),
    ];
    let program =
        PROGRAM.map(|(code, jump_true, jump_false, k)| SockFilter::new(code, jump_true, jump_false, k));
    SockRef::from(listener).attach_filter(&program)
}
