//! A client's socket, in clear or with TLS: it reports to its [`Connection`], and fails once that is to be closed.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::Extensions;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::state::Connection;

/// The most that is read in one poll of the connection's task, in bytes. actix-http parses all requests that it can read
/// before it handles the first: some 100, when they are as small as can be, of some 4 KiB of memory each.
const MAX_READ_PER_POLL: usize = 2 * 1024;

/// The socket.
#[derive(Debug)]
pub(in crate::http) struct Socket<T> {
    io: T,
    connection: Rc<Connection>,
    /// Bytes that were read in this poll.
    read_in_poll: usize,
}

impl<T> Socket<T> {
    pub(super) fn new(io: T, connection: Rc<Connection>) -> Self {
        Self {
            io,
            connection,
            read_in_poll: 0,
        }
    }

    /// Attaches the connection to its requests.
    pub(in crate::http) fn attach(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.connection));
    }

    /// Reports whether the client accepts what is written.
    fn track_write<R>(&self, poll: Poll<R>) -> Poll<R> {
        if poll.is_pending() {
            self.connection.write_blocked();
        } else {
            self.connection.write_progressed();
        }
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.check_open()?;
        self.connection.register_waker(context);
        if !self.connection.may_read() {
            return Poll::Pending;
        }
        let room = buffer.remaining().min(MAX_READ_PER_POLL - self.read_in_poll);
        if room == 0 {
            self.read_in_poll = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut chunk = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let poll = Pin::new(&mut self.io).poll_read(context, &mut chunk);
        let count = chunk.filled().len();
        buffer.advance(count);
        self.read_in_poll = if poll.is_pending() {
            0
        } else {
            self.read_in_poll + count
        };
        if count > 0 {
            self.connection.received();
        }
        poll
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.check_open()?;
        let poll = Pin::new(&mut self.io).poll_write(context, bytes);
        self.track_write(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.check_open()?;
        let poll = Pin::new(&mut self.io).poll_flush(context);
        self.track_write(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.check_open()?;
        let poll = Pin::new(&mut self.io).poll_shutdown(context);
        self.track_write(poll)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
    use tokio::time::timeout;

    use super::super::state::{CloseReason, InFlightRequest};
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_poll_reads_so_much_however_much_there_is() {
        let (mut client, server) = duplex(MAX_READ_PER_POLL * 4);
        let mut socket = Socket::new(server, Connection::alone());
        client.write_all(&[0; MAX_READ_PER_POLL * 3]).await.unwrap();
        for _ in 0..3 {
            let mut bytes = [0; MAX_READ_PER_POLL * 3];
            let read = socket.read(&mut bytes).await.unwrap();
            assert_eq!(read, MAX_READ_PER_POLL);
            let mut more = ReadBuf::new(&mut bytes);
            let again =
                poll_fn(|context| Poll::Ready(Pin::new(&mut socket).poll_read(context, &mut more))).await;
            assert!(again.is_pending());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_pipelined_request_is_read_before_the_response() {
        let (mut client, server) = duplex(64);
        let connection = Connection::alone();
        let mut socket = Socket::new(server, Rc::clone(&connection));
        client.write_all(b"abc").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'a');
        let request = InFlightRequest::begin(&connection);
        assert_eq!(socket.read_u8().await.unwrap(), b'b', "its body");
        connection.body_received();
        let responding = async {
            tokio::time::sleep(SOON * 2).await;
            drop(request);
        };
        let reading = async {
            assert!(timeout(SOON, socket.read_u8()).await.is_err());
            assert_eq!(socket.read_u8().await.unwrap(), b'c');
        };
        timeout(SOON * 3, async { tokio::join!(responding, reading) })
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_while_the_client_reads_nothing() {
        let (mut client, server) = duplex(64);
        let socket = Socket::new(server, Connection::alone());
        let (mut read, mut write) = split(socket);
        client.write_all(b"a request").await.unwrap();
        let writing = async { write.write_all(&[0; 100]).await.unwrap() };
        let reading = async {
            assert!(timeout(SOON, read.read_u8()).await.is_err(), "nothing is read");
            client.read_exact(&mut [0; 100]).await.unwrap();
            let first = timeout(SOON, read.read_u8()).await;
            assert_eq!(first.unwrap().unwrap(), b'a');
        };
        tokio::join!(writing, reading);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_pending_reads_and_writes() {
        let (_client, server) = duplex(64);
        let connection = Connection::alone();
        let (mut read, mut write) = split(Socket::new(server, Rc::clone(&connection)));
        let (got, sent, ()) = tokio::join!(read.read_u8(), write.write_all(&[0; 100]), async {
            tokio::time::sleep(SOON).await;
            connection.close(CloseReason::ResponseNotRead);
        });
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
