//! A client's socket, in clear or with TLS, that tells its [`Watch`] what happens on it and ends when that says so.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::goaway::Goaway;
use super::watch::Watch;
use crate::metric;

/// The most that is read at once on HTTP/2: some 80 requests, when they are as small as can be.
const HTTP2_READ: usize = 1024;

/// The socket.
#[derive(Debug)]
pub(super) struct Socket<T> {
    io: T,
    watch: Rc<Watch>,
    /// None on HTTP/1.
    frames: Option<Frames>,
    /// None on HTTP/1.
    goaway: Option<Goaway>,
}

impl<T> Socket<T> {
    pub(super) fn new(io: T, watch: Rc<Watch>, http2: bool) -> Self {
        metric::http_connections().increment(1.0);
        let frames = http2.then(Frames::new);
        let goaway = http2.then(Goaway::new);
        Self {
            io,
            watch,
            frames,
            goaway,
        }
    }

    pub(super) fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    fn alive(&self) -> io::Result<()> {
        match self.watch.verdict() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Follows what was read.
    fn heard(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let in_head = match &mut self.frames {
            // Whatever comes between requests is the next one's head, or what is left of a refused one's body.
            None => self.watch.in_flight() == 0,
            Some(frames) => {
                if let Err(cut) = frames.follow(bytes) {
                    self.watch.end(cut);
                }
                frames.in_head()
            }
        };
        self.watch.heard(in_head);
        self.alive()
    }

    /// Keeps in mind whether the socket takes what is written.
    fn note<R>(&self, context: &Context<'_>, poll: Poll<R>) -> Poll<R> {
        match poll {
            Poll::Pending => self.watch.blocked(context),
            Poll::Ready(_) => self.watch.wrote(),
        }
        poll
    }
}

impl<T: AsyncWrite + Unpin> Socket<T> {
    /// Tells an HTTP/2 client that the gateway stops, once it does and where that may be said.
    fn poll_goaway(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(goaway) = self.goaway.as_mut().filter(|_| self.watch.is_leaving()) else {
            return Poll::Ready(Ok(()));
        };
        while !goaway.unsent().is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(context, goaway.unsent()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => goaway.sent(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes with `write` what may be written.
    fn poll_out(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.alive()?;
        let poll = match self.poll_goaway(context)? {
            Poll::Ready(()) => write(Pin::new(&mut self.io), context),
            Poll::Pending => Poll::Pending,
        };
        if let (Some(goaway), Poll::Ready(Ok(count))) = (&mut self.goaway, &poll) {
            let mut left = *count;
            for slice in slices {
                let written = left.min(slice.len());
                goaway.wrote(&slice[..written]);
                left -= written;
            }
        }
        self.note(context, poll)
    }
}

impl<T> Drop for Socket<T> {
    fn drop(&mut self) {
        metric::http_connections().decrement(1.0);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive()?;
        // Who does not read is not read from: or answers that cannot be written would pile up.
        if self.watch.is_blocked() {
            self.watch.park_reader(context);
            return Poll::Pending;
        }
        // The server below writes nothing where it has nothing to say. Pending, it is said with the next that is written.
        if let Poll::Ready(Err(error)) = self.poll_goaway(context) {
            return Poll::Ready(Err(error));
        }
        // The server below takes all requests that it can read before it works on the first. So those of one read go
        // first, and are refused where they are too many, and a read is short.
        if self.frames.as_mut().is_some_and(Frames::take_requested) {
            self.watch.rest();
        }
        if self.watch.is_resting() {
            self.watch.park_reader(context);
            return Poll::Pending;
        }
        let room = match self.frames {
            Some(_) => buffer.remaining().min(HTTP2_READ),
            None => buffer.remaining(),
        };
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(room));
        match Pin::new(&mut self.io).poll_read(context, &mut piece) {
            Poll::Ready(Ok(())) => {
                let count = piece.filled().len();
                let heard = self.heard(piece.filled());
                buffer.advance(count);
                Poll::Ready(heard)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.watch.park_reader(context);
                Poll::Pending
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, &[IoSlice::new(bytes)], |io, context| {
            io.poll_write(context, bytes)
        })
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, slices, |io, context| {
            io.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        let poll = Pin::new(&mut self.io).poll_flush(context);
        self.note(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        let poll = Pin::new(&mut self.io).poll_shutdown(context);
        self.note(context, poll)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
    use tokio::time::timeout;

    use super::super::watch::{Cut, Watches};
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_read_from() {
        let (mut client, server) = duplex(64);
        let socket = Socket::new(server, Watches::default().add(), false);
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
        let (mut read, mut write) = split(Socket::new(server, Rc::clone(&watch), false));
        let (got, sent, ()) = tokio::join!(read.read_u8(), write.write_all(&[0; 100]), async {
            tokio::time::sleep(SOON).await;
            watch.end(Cut::AnswerNotRead);
        });
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
