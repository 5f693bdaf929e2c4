//! A client's socket, in clear or with TLS, that tells its [`Watch`] what happens on it and ends when that says so.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::Extensions;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Watch;

/// The most that is read in one turn of the task that serves the connection, in bytes. It takes all requests that it
/// can read before it works on the first: some 100, when they are as small as can be, of some 4 KiB of memory each.
const TURN: usize = 2 * 1024;

/// The socket.
#[derive(Debug)]
pub(in crate::http) struct Socket<T> {
    io: T,
    watch: Rc<Watch>,
    /// Bytes that were read in this turn.
    read: usize,
}

impl<T> Socket<T> {
    pub(super) fn new(io: T, watch: Rc<Watch>) -> Self {
        Self { io, watch, read: 0 }
    }

    /// Lets the connection's requests know of its watch.
    pub(in crate::http) fn attach(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.watch));
    }

    /// Keeps in mind whether the socket takes what is written.
    fn note<R>(&self, poll: Poll<R>) -> Poll<R> {
        if poll.is_pending() {
            self.watch.blocked();
        } else {
            self.watch.wrote();
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
        self.watch.alive()?;
        self.watch.polled(context);
        if !self.watch.may_read() {
            return Poll::Pending;
        }
        let room = buffer.remaining().min(TURN - self.read);
        if room == 0 {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let poll = Pin::new(&mut self.io).poll_read(context, &mut piece);
        let count = piece.filled().len();
        buffer.advance(count);
        self.read = if poll.is_pending() { 0 } else { self.read + count };
        if count > 0 {
            self.watch.heard();
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
        self.watch.alive()?;
        let poll = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.alive()?;
        let poll = Pin::new(&mut self.io).poll_flush(context);
        self.note(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.alive()?;
        let poll = Pin::new(&mut self.io).poll_shutdown(context);
        self.note(poll)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
    use tokio::time::timeout;

    use super::super::watch::{Cut, InFlight, Watches};
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_turn_has_an_end_however_much_there_is() {
        let (mut client, server) = duplex(TURN * 4);
        let mut socket = Socket::new(server, Watches::default().add());
        client.write_all(&[0; TURN * 3]).await.unwrap();
        for _ in 0..3 {
            let mut turn = [0; TURN * 3];
            let read = socket.read(&mut turn).await.unwrap();
            assert_eq!(read, TURN);
            let mut more = ReadBuf::new(&mut turn);
            let again =
                poll_fn(|context| Poll::Ready(Pin::new(&mut socket).poll_read(context, &mut more))).await;
            assert!(again.is_pending());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_behind_a_request_until_it_is_answered() {
        let (mut client, server) = duplex(64);
        let watch = Watches::default().add();
        let mut socket = Socket::new(server, Rc::clone(&watch));
        client.write_all(b"abc").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'a');
        let request = InFlight::begin(&watch);
        assert_eq!(socket.read_u8().await.unwrap(), b'b', "its body");
        watch.body_ended();
        let answering = async {
            tokio::time::sleep(SOON * 2).await;
            drop(request);
        };
        let reading = async {
            assert!(timeout(SOON, socket.read_u8()).await.is_err());
            assert_eq!(socket.read_u8().await.unwrap(), b'c');
        };
        timeout(SOON * 3, async { tokio::join!(answering, reading) })
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_read_from() {
        let (mut client, server) = duplex(64);
        let socket = Socket::new(server, Watches::default().add());
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
    async fn a_verdict_ends_what_waits() {
        let (_client, server) = duplex(64);
        let watch = Watches::default().add();
        let (mut read, mut write) = split(Socket::new(server, Rc::clone(&watch)));
        let (got, sent, ()) = tokio::join!(read.read_u8(), write.write_all(&[0; 100]), async {
            tokio::time::sleep(SOON).await;
            watch.end(Cut::AnswerNotRead);
        });
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
