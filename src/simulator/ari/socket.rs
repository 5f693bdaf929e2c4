//! The event socket.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, Message, MessageStream, Session};
use futures_util::StreamExt as _;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use super::application::Socket;
use super::exchange::Exchange;

/// How many events may wait for a socket.
const MAX_WAITING: usize = 65_536;

/// An order to every open event socket.
#[derive(Debug, Clone)]
pub(super) enum SocketOrder {
    /// The connection breaks.
    Cut,
    /// Nothing is read, written or answered any more; the connection stays.
    Freeze,
    /// This text is sent as it is.
    Send(String),
}

/// The TCP connection that a request came by.
#[derive(Debug, Clone)]
pub(super) struct Wire(pub(super) Arc<TcpStream>);

impl Wire {
    /// Breaks the connection. It may be broken already.
    pub(super) fn cut(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
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
    {
        let mut state = exchange.state();
        for name in applications {
            let frames = frames.clone();
            state.connect(name, all, Socket { id, frames });
        }
    }
    let serving = Serving {
        exchange: Arc::clone(exchange),
        id,
        wire: request.conn_data::<Wire>().cloned(),
    };
    // The socket's own end of the channel keeps it open when its applications are taken from it.
    actix_web::rt::spawn(serving.run(session, messages, waiting, orders, frames));
    Ok(response)
}

/// A socket that is served; its end is the end of the connection, and its applications lose it.
struct Serving {
    exchange: Arc<Exchange>,
    id: u64,
    wire: Option<Wire>,
}

impl Serving {
    async fn run(
        self,
        mut session: Session,
        mut messages: MessageStream,
        mut waiting: mpsc::Receiver<String>,
        mut orders: broadcast::Receiver<SocketOrder>,
        _open: mpsc::Sender<String>,
    ) {
        loop {
            let text = tokio::select! {
                // Orders first: what is received after one is under it.
                biased;
                order = orders.recv() => match order {
                    Ok(SocketOrder::Send(text)) => text,
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
                        let _ = session.close(reason).await;
                        // The client closes the connection once it has read that.
                        let limit = self.exchange.settings.event_write_timeout;
                        let _ = timeout(limit, messages.next()).await;
                        return;
                    }
                    Some(Err(_)) | None => return,
                },
                text = waiting.recv() => match text {
                    Some(text) => text,
                    None => return,
                },
            };
            let limit = self.exchange.settings.event_write_timeout;
            match timeout(limit, session.text(text)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    // A reader that is too slow. The close frame has no better chance than the event, so it gets
                    // as much time.
                    let close = session.close(Some(CloseCode::Error.into()));
                    let _ = timeout(limit, close).await;
                    return;
                }
            }
        }
    }

    async fn freeze(&self, mut orders: broadcast::Receiver<SocketOrder>) {
        loop {
            match orders.recv().await {
                Ok(SocketOrder::Cut) | Err(broadcast::error::RecvError::Closed) => return,
                Ok(SocketOrder::Freeze | SocketOrder::Send(_))
                | Err(broadcast::error::RecvError::Lagged(_)) => {}
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.exchange.state().disconnect(self.id);
        if let Some(wire) = &self.wire {
            wire.cut();
        }
    }
}
