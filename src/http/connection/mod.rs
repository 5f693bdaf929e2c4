//! Connections: taken within bounds, with TLS or without, and ended when they are of no use.
//!
//! The server that actix-web puts together by itself has no bound for most of what a client can do to hold a
//! connection, and no way to end one; so its parts are put together here, around a socket of our own.

mod descriptors;
mod frames;
mod goaway;
mod heads;
mod requests;
mod socket;
mod watch;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, Service, ServiceFactory};
use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

pub(super) use requests::count_requests;

use self::socket::Socket;
use self::watch::Watches;
use super::lifecycle::Lifecycle;
use super::tls::Tls;
use crate::metric;

/// How long a request's head may take to come, a TLS handshake likewise, and how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the kernel keeps what a client does not take, also of a connection that is closed: longer than ours of one
/// that is open.
const USER_TIMEOUT_MS: u32 = 45_000;

/// What the kernel keeps of an answer that it cannot send yet. Left to itself that is 4 MB, and it takes no more before a
/// third of them is gone: of a client that reads as fast as a recording plays, 16 kB/s, it would seem for over a minute
/// that it reads nothing.
const UNSENT: u32 = 128 * 1024;

/// What a client may send of bodies before they are read, by stream and by connection of HTTP/2: the largest body is
/// of 100 KiB.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Starts the server on `listener`. It handles no signals: whoever started it stops it, through its handle.
///
/// # Errors
/// When the listener cannot be used.
pub(super) fn listen<F, I, S, B>(
    listener: TcpListener,
    tls: Option<&Tls>,
    lifecycle: &Lifecycle,
    shutdown_s: u64,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error>,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>>,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let acceptor = tls.map(Tls::acceptor);
    let lifecycle = lifecycle.clone();
    let server = Server::build()
        .disable_signals()
        .max_concurrent_connections(descriptors::connections_per_worker())
        .shutdown_timeout(shutdown_s)
        .listen("http", listener, move || {
            let watches = Rc::new(Watches::default());
            actix_web::rt::spawn(Watches::look_after(Rc::downgrade(&watches), lifecycle.clone()));
            let acceptor = acceptor.clone();
            let open = move |tcp| open(tcp, acceptor.clone(), Rc::clone(&watches));
            let app = app()
                .into_factory()
                .map_err(|error| error.into().error_response());
            let http = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(Duration::from_secs(1))
                .h2_initial_window_size(STREAM_WINDOW)
                .h2_initial_connection_window_size(CONNECTION_WINDOW)
                .on_connect_ext(|socket: &Socket<Stream>, data| {
                    data.insert(socket.watch());
                })
                // Scheme and host of the server, which only matter to who makes links from a request: nobody here.
                .finish(map_config(app, |()| AppConfig::default()));
            fn_service(open).and_then(http.map_err(count_malformed))
        })?;
    Ok(server.run())
}

/// Counts what was refused before it was a request: it is in none of the counts by route.
fn count_malformed(error: DispatchError) -> DispatchError {
    if matches!(error, DispatchError::Parse(_)) {
        metric::http_malformed().increment(1);
    }
    error
}

/// A client's stream, in clear or with TLS.
type Stream = Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

/// What the HTTP service takes: a socket, what is spoken on it, and whose it is.
type Opened = (Socket<Stream>, Protocol, Option<SocketAddr>);

/// Makes a socket of an accepted connection, with a handshake where there is TLS.
async fn open(
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    watches: Rc<Watches>,
) -> Result<Opened, DispatchError> {
    let peer = tcp.peer_addr().ok();
    tcp.set_nodelay(true)?;
    SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT)?;
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, USER_TIMEOUT_MS).map_err(io::Error::from)?;
    let (stream, protocol) = match acceptor {
        None => (Either::Left(tcp), Protocol::Http1),
        Some(acceptor) => {
            let handshake = timeout(HEAD_TIMEOUT, acceptor.accept(tcp)).await;
            let stream = handshake
                .map_err(io::Error::from)
                .flatten()
                .inspect_err(|_| metric::tls_handshakes_failed().increment(1))?;
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                Some(_) | None => Protocol::Http1,
            };
            (Either::Right(stream), protocol)
        }
    };
    let socket = Socket::new(stream, watches.add(), protocol == Protocol::Http2);
    Ok((socket, protocol, peer))
}
