//! Connections: taken within bounds, with TLS or without, and ended when they are of no use.
//!
//! The server that actix-web puts together by itself has no bound for most of what a client can do to hold a
//! connection, and no way to end one; so [`serve`](super::serve) puts its parts together around a socket of our own.

mod descriptors;
mod requests;
mod socket;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

pub(super) use descriptors::connections_per_worker;
pub(super) use requests::count_requests;
pub(super) use socket::Socket;
pub(super) use watch::Watches;

use crate::metric;

/// How long a request's head may take to come, a TLS handshake likewise, and how long a connection may lie idle.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the kernel keeps what a client does not take, also of a connection that is closed: longer than ours of one
/// that is open.
const USER_TIMEOUT_MS: u32 = 45_000;

/// What the kernel keeps of an answer that it cannot send yet. Left to itself that is 4 MB, and it takes no more before a
/// third of them is gone: of a client that reads as fast as a recording plays, 16 kB/s, it would seem for over a minute
/// that it reads nothing.
const UNSENT: u32 = 128 * 1024;

/// A client's stream, in clear or with TLS.
type Stream = Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

/// Makes a socket of an accepted connection, with a handshake where there is TLS; and says whose it is.
pub(super) async fn open(
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    watches: Rc<Watches>,
) -> Result<(Socket<Stream>, Option<SocketAddr>), DispatchError> {
    let peer = tcp.peer_addr().ok();
    tcp.set_nodelay(true)?;
    SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT)?;
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, USER_TIMEOUT_MS).map_err(io::Error::from)?;
    let stream = match acceptor {
        None => Either::Left(tcp),
        Some(acceptor) => {
            let handshake = timeout(HEAD_TIMEOUT, acceptor.accept(tcp)).await;
            let stream = handshake
                .map_err(io::Error::from)
                .flatten()
                .inspect_err(|_| metric::tls_handshakes_failed().increment(1))?;
            Either::Right(stream)
        }
    };
    Ok((Socket::new(stream, watches.add()), peer))
}

/// Counts what was refused before it was a request: it is in none of the counts by route.
pub(super) fn count_malformed(error: DispatchError) -> DispatchError {
    if matches!(error, DispatchError::Parse(_)) {
        metric::http_malformed().increment(1);
    }
    error
}
