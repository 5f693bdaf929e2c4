//! Connections: accepted within limits, with TLS or without, and closed on timeouts.
//!
//! actix-web's own server has no timeout for most of what a client can do to hold a connection, and no way to close one;
//! so [`serve`](super::serve) builds it from its parts, around a socket of our own.

mod descriptors;
mod places;
mod requests;
mod socket;
mod state;

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

pub(super) use descriptors::share_of_worker;
pub(super) use places::Connections;
pub(super) use requests::{is_in_reserve, track_requests};
pub(super) use socket::Socket;

use super::site::{Site, client_address};
use crate::metric;

/// How long a request's head may take, and a TLS handshake; and how long a connection may be idle between requests.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the kernel retries to send what a client does not accept, also after a connection was closed: longer than our own
/// timeout for an open one.
const TCP_USER_TIMEOUT_MS: u32 = 45_000;

/// How many bytes of a response the kernel buffers that it cannot send yet. By default that is 4 MB, and it accepts more only
/// once a third was sent: a client that reads as fast as a recording plays, 16 kB/s, would seem to read nothing for
/// over a minute.
const MAX_UNSENT: u32 = 128 * 1024;

/// A client's stream, in clear or with TLS.
type Stream = Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

/// Makes a socket of an accepted connection, with the handshake where there is TLS; with the client's address.
///
/// # Errors
/// When there is no place for it, or its place is needed for another before it has sent anything; when the handshake fails.
pub(super) async fn accept(
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    connections: Rc<Connections>,
) -> Result<(Socket<Stream>, Option<SocketAddr>), DispatchError> {
    let peer = tcp.peer_addr().ok();
    let connection = connections.enter(Site::of(client_address(peer)));
    let connection = connection
        .ok_or(io::ErrorKind::ConnectionAborted)
        .map_err(io::Error::from)?;
    tcp.set_nodelay(true)?;
    SockRef::from(&tcp).set_tcp_notsent_lowat(MAX_UNSENT)?;
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, TCP_USER_TIMEOUT_MS).map_err(io::Error::from)?;
    let stream = match acceptor {
        None => Either::Left(tcp),
        Some(acceptor) => {
            let handshake = tokio::select! {
                handshake = timeout(HEAD_TIMEOUT, acceptor.accept(tcp)) => handshake,
                () = connection.closed() => return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
            };
            let stream = handshake
                .map_err(io::Error::from)
                .flatten()
                .inspect_err(|_| metric::tls_handshakes_failed().increment(1))?;
            connection.secured();
            Either::Right(stream)
        }
    };
    Ok((Socket::new(stream, connection), peer))
}

/// Counts requests that cannot be parsed: they are in none of the counts by route.
pub(super) fn count_malformed(error: DispatchError) -> DispatchError {
    if matches!(error, DispatchError::Parse(_)) {
        metric::http_malformed().increment(1);
    }
    error
}
