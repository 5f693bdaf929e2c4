//! The event socket.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, Message, MessageStream, Session};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::application::Socket;
use super::exchange::Exchange;
use crate::simulator::lock::locked;

/// How many events may wait for a socket.
const MAX_WAITING: usize = 16_384;

/// How many ends of sockets are remembered.
const MAX_ENDS: usize = 10_000;

/// How long a socket's orderly end may take.
const CLOSE_LIMIT: Duration = Duration::from_millis(100);

/// Between two looks whether a client is gone.
const LOOK: Duration = Duration::from_millis(20);

/// An order to every open event socket.
#[derive(Debug, Clone)]
pub(super) enum SocketOrder {
    /// The connection breaks.
    Cut,
    /// Nothing is read, written or answered any more; the connection stays.
    Freeze,
    /// This text is sent as it is.
    Send(String),
    /// As a binary frame.
    SendBinary(Bytes),
}

/// The TCP connection that a request came by.
#[derive(Debug, Clone)]
pub(super) struct Wire(pub(super) Arc<TcpStream>);

impl Wire {
    /// Breaks the connection. It may be broken already.
    pub(super) fn cut(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// Returns when the client has closed the connection, which its server does not notice while it answers.
    pub(super) async fn left(&self) {
        loop {
            match self.0.peek(&mut [0]) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
            sleep(LOOK).await;
        }
    }
}

/// Takes the connection over for the applications' events.
pub(super) fn open(
    exchange: &Arc<Exchange>,
    request: &HttpRequest,
    body: web::Payload,
    applications: &[String],
    all: bool,
) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(request, body)?;
    let (frames, waiting) = mpsc::channel(MAX_WAITING);
    let id = exchange.serial();
    let orders = exchange.sockets.subscribe();
    let socket = Socket {
        id,
        frames,
        overrun: CancellationToken::new(),
    };
    for name in applications {
        exchange.state().connect(name, all, socket.clone());
    }
    let serving = Serving {
        exchange: Arc::clone(exchange),
        socket,
        wire: request.conn_data::<Wire>().cloned(),
        closed_with: None,
    };
    actix_web::rt::spawn(serving.run(session, messages, waiting, orders));
    Ok(response)
}

/// Closes on a reader that is too slow. The close frame has no better chance than an event.
async fn close(session: Session) {
    let _ = timeout(CLOSE_LIMIT, session.close(Some(CloseCode::Error.into()))).await;
}

/// A socket that is served; its end is the end of the connection, and its applications lose it.
struct Serving {
    exchange: Arc<Exchange>,
    /// Also keeps the queue open when the applications are taken from it.
    socket: Socket,
    wire: Option<Wire>,
    /// The code of the client's close frame.
    closed_with: Option<u16>,
}

impl Serving {
    async fn run(
        mut self,
        mut session: Session,
        mut messages: MessageStream,
        mut waiting: mpsc::Receiver<String>,
        mut orders: broadcast::Receiver<SocketOrder>,
    ) {
        loop {
            let text = tokio::select! {
                // Orders first: what is received after one is under it.
                biased;
                order = orders.recv() => match order {
                    Ok(SocketOrder::Send(text)) => text,
                    Ok(SocketOrder::SendBinary(bytes)) => {
                        let limit = self.exchange.settings.event_write_timeout;
                        match timeout(limit, session.binary(bytes)).await {
                            Ok(Ok(())) => continue,
                            Ok(Err(_)) | Err(_) => return,
                        }
                    }
                    Ok(SocketOrder::Freeze) => return self.freeze(orders).await,
                    Ok(SocketOrder::Cut) | Err(_) => return,
                },
                message = messages.next() => match message {
                    Some(Ok(Message::Ping(bytes))) => {
                        if session.pong(&bytes).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Some(Ok(
                        Message::Text(_)
                        | Message::Binary(_)
                        | Message::Continuation(_)
                        | Message::Pong(_)
                        | Message::Nop,
                    )) => continue,
                    Some(Ok(Message::Close(reason))) => {
                        self.closed_with = reason.as_ref().map(|reason| reason.code.into());
                        let _ = session.close(reason).await;
                        // The client closes the connection once it has read that.
                        let _ = timeout(CLOSE_LIMIT, messages.next()).await;
                        return;
                    }
                    Some(Err(_)) | None => return,
                },
                () = self.socket.overrun.cancelled() => {
                    self.exchange.writes.closed(Duration::ZERO);
                    return close(session).await;
                }
                text = waiting.recv() => match text {
                    Some(text) => text,
                    None => return,
                },
            };
            let limit = self.exchange.settings.event_write_timeout;
            let begun = Instant::now();
            let written = tokio::select! {
                written = timeout(limit, session.text(text)) => written.ok(),
                () = self.socket.overrun.cancelled() => None,
            };
            match written {
                Some(Ok(())) => self.exchange.writes.wrote(begun.elapsed(), waiting.len()),
                Some(Err(_)) => return,
                None => {
                    self.exchange.writes.closed(begun.elapsed());
                    return close(session).await;
                }
            }
        }
    }

    async fn freeze(&self, mut orders: broadcast::Receiver<SocketOrder>) {
        loop {
            match orders.recv().await {
                Ok(SocketOrder::Cut) | Err(broadcast::error::RecvError::Closed) => return,
                Ok(SocketOrder::Freeze | SocketOrder::Send(_) | SocketOrder::SendBinary(_))
                | Err(broadcast::error::RecvError::Lagged(_)) => {}
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.exchange.state().disconnect(self.socket.id);
        let mut ends = locked(&self.exchange.socket_ends);
        if ends.len() == MAX_ENDS {
            ends.pop_front();
        }
        ends.push_back(self.closed_with);
        drop(ends);
        if let Some(wire) = &self.wire {
            wire.cut();
        }
    }
}
