//! The event socket: a reader that never waits, and pings that find a peer that is gone.
//!
//! Asterisk closes a socket that it cannot write to for 100 ms, and its own queue before that makes PJSIP refuse
//! calls. So the reader only moves frames into a bounded queue; when that is full it drops and marks the gap.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use awc::error::WsProtocolError;
use awc::http::StatusCode;
use awc::ws::{CloseCode, CloseReason, Codec, Frame, Message};
use awc::{BoxedSocket, Client};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::error::AriError;
use crate::metric;
use crate::printable::one_line;
use crate::settings::AsteriskSettings;

/// Frames between the reader and the actor: a second of the worst storm that one Asterisk can make.
const QUEUE_FRAMES: usize = 16_384;

/// Bytes of those frames: twice what so many usual ones have, so that large ones do not take the memory.
const QUEUE_BYTES: usize = 32 * MAX_FRAME;

/// The largest frame that is read, in bytes.
const MAX_FRAME: usize = 1024 * 1024;

/// Between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// With nothing heard for this long, not even a pong, the peer is gone. With the ping's rhythm: found within 15 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the handshake, or the writing of a ping, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the farewell may take: writing the close frame, and Asterisk's own.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the reader hands to the actor.
#[derive(Debug)]
pub(super) enum Received {
    /// A text frame, and the room that it takes in the queue until it is dropped.
    Frame(Bytes, OwnedSemaphorePermit),
    /// So many frames were dropped before this, the queue being full.
    Gap(u64),
    /// The socket is closed, for this reason. The last there is.
    Closed(String),
}

type Socket = Framed<BoxedSocket, Codec>;

/// Opens the socket of an application.
pub(super) async fn open(settings: &AsteriskSettings, app: &str) -> Result<Socket, AriError> {
    let url = format!(
        "{}/events?app={}",
        settings.ari_url(),
        utf8_percent_encode(app, NON_ALPHANUMERIC)
    );
    // A client of its own: a socket must not take a connection from the requests.
    let connect = Client::builder()
        .disable_timeout()
        .finish()
        .ws(url)
        .basic_auth(&settings.user, Some(settings.password.expose_secret()))
        .max_frame_size(MAX_FRAME)
        .connect();
    match timeout(TIMEOUT, connect).await {
        Ok(Ok((_, socket))) => Ok(socket),
        Ok(Err(awc::error::WsClientError::InvalidResponseStatus(StatusCode::UNAUTHORIZED))) => {
            Err(AriError::Unauthorized)
        }
        Ok(Err(error)) => Err(AriError::RequestNotSent(error.to_string())),
        Err(_) => Err(AriError::RequestNotSent(
            "no answer to the handshake in time".to_owned(),
        )),
    }
}

/// The queue that [`reader`] fills.
pub(super) fn queue() -> (mpsc::Sender<Received>, mpsc::Receiver<Received>) {
    mpsc::channel(QUEUE_FRAMES)
}

/// Moves frames into the queue until the socket ends, and says why it did. Once nobody takes them from the queue any more, it
/// closes the socket in order.
pub(super) async fn reader(socket: Socket, queue: mpsc::Sender<Received>, actor: String) {
    let (mut sink, mut stream) = socket.split();
    let heard = Rc::new(Cell::new(Instant::now()));
    let (pongs, owed) = mpsc::channel(1);
    let reason = tokio::select! {
        // After a thread that hung, what came meanwhile is heard before anybody says that nothing was.
        biased;
        reason = read(&mut stream, &queue, &heard, pongs, &actor) => reason,
        reason = keep_alive(&mut sink, &heard, owed) => reason,
        () = queue.closed() => return close(&mut sink, &mut stream, &actor).await,
    };
    // The one place where the end may wait for room: nothing is read any more.
    let _ = queue.send(Received::Closed(reason)).await;
}

/// Closes the socket with a reason, and waits until the other side has read that.
async fn close(sink: &mut SplitSink<Socket, Message>, stream: &mut SplitStream<Socket>, actor: &str) {
    let closing = async {
        let reason = CloseReason {
            code: CloseCode::Away,
            description: Some("the gateway leaves".to_owned()),
        };
        sink.send(Message::Close(Some(reason))).await?;
        // What comes before its close frame was on its way.
        while let Some(frame) = stream.next().await {
            if matches!(frame?, Frame::Close(_)) {
                break;
            }
        }
        Ok::<_, WsProtocolError>(())
    };
    match timeout(CLOSE_TIMEOUT, closing).await {
        Ok(Ok(())) => tracing::debug!(actor, "the event socket is closed"),
        Ok(Err(error)) => tracing::debug!(actor, %error, "the event socket broke at its end"),
        Err(_) => tracing::debug!(actor, "the event socket's end was not answered"),
    }
}

async fn read(
    stream: &mut (impl Stream<Item = Result<Frame, WsProtocolError>> + Unpin),
    queue: &mpsc::Sender<Received>,
    heard: &Cell<Instant>,
    pongs: mpsc::Sender<Bytes>,
    actor: &str,
) -> String {
    let mut dropped: u64 = 0;
    let room = Arc::new(Semaphore::new(QUEUE_BYTES));
    loop {
        let frame = match stream.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(WsProtocolError::Io(error))) => return format!("connection lost: {error}"),
            Some(Err(error)) => {
                metric::ari_bad_frames(actor.to_owned()).increment(1);
                return format!("protocol error: {error}");
            }
            None => return "connection lost".to_owned(),
        };
        heard.set(Instant::now());
        // With any frame, if only a pong: after a storm there may be no event for a long time. And not for each place
        // that becomes free: one gap says as much as a queue full of them, and costs one look at what lives on Asterisk.
        if dropped > 0 && is_half_empty(queue, &room) && queue.try_send(Received::Gap(dropped)).is_ok() {
            dropped = 0;
        }
        match frame {
            Frame::Text(text) => {
                // A gap comes before what was not dropped.
                if dropped > 0 || enqueue(queue, &room, text).is_none() {
                    dropped += 1;
                    metric::ari_frames_dropped(actor.to_owned()).increment(1);
                }
            }
            Frame::Close(reason) => return reason.map_or_else(|| "closed".to_owned(), close_words),
            // Asterisk sends no binary frames and does not split its text.
            Frame::Binary(_) | Frame::Continuation(_) => {
                metric::ari_bad_frames(actor.to_owned()).increment(1);
            }
            // One pong answers any number of pings.
            Frame::Ping(payload) => drop(pongs.try_send(payload)),
            Frame::Pong(_) => {}
        }
    }
}

/// Puts a frame into the queue; none where there is no room for it.
fn enqueue(queue: &mpsc::Sender<Received>, room: &Arc<Semaphore>, text: Bytes) -> Option<()> {
    let bytes = u32::try_from(text.len()).ok()?;
    let taken = Arc::clone(room).try_acquire_many_owned(bytes).ok()?;
    queue.try_send(Received::Frame(text, taken)).ok()
}

fn is_half_empty(queue: &mpsc::Sender<Received>, room: &Semaphore) -> bool {
    2 * queue.capacity() >= queue.max_capacity() && 2 * room.available_permits() >= QUEUE_BYTES
}

fn close_words(reason: awc::ws::CloseReason) -> String {
    let code = u16::from(reason.code);
    let words = reason.description.unwrap_or_default();
    format!("closed with {code} {}", one_line(&words))
}

async fn keep_alive(
    sink: &mut SplitSink<Socket, Message>,
    heard: &Cell<Instant>,
    mut owed: mpsc::Receiver<Bytes>,
) -> String {
    let mut ticks = interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            _ = ticks.tick() => Message::Ping(Bytes::new()),
            Some(payload) = owed.recv() => Message::Pong(payload),
        };
        if heard.get().elapsed() > IDLE_TIMEOUT {
            return "nothing heard, not even a pong".to_owned();
        }
        match timeout(TIMEOUT, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("ping failed: {error}"),
            Err(_) => return "ping could not be written".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    #[actix_rt::test]
    async fn what_finds_no_room_is_dropped_and_the_gap_is_marked_before_what_comes_next() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _installed = metrics::set_default_local_recorder(&recorder);
        let (queue, mut received) = mpsc::channel(1);
        let (sent, frames) = mpsc::unbounded_channel();
        let mut frames = UnboundedReceiverStream::new(frames);
        let heard = Cell::new(Instant::now());
        let (pongs, _owed) = mpsc::channel(1);
        let text = |text: &'static str| Ok(Frame::Text(Bytes::from_static(text.as_bytes())));
        let looking = async {
            for frame in [text("1"), text("2"), text("3")] {
                sent.send(frame).unwrap();
            }
            let first = received.recv().await;
            assert!(
                matches!(&first, Some(Received::Frame(text, _)) if text == "1"),
                "{first:?}"
            );
            sent.send(Ok(Frame::Pong(Bytes::new()))).unwrap();
            let gap = received.recv().await;
            assert!(matches!(gap, Some(Received::Gap(2))), "{gap:?}");
            sent.send(text("4")).unwrap();
            let last = received.recv().await;
            assert!(
                matches!(&last, Some(Received::Frame(text, _)) if text == "4"),
                "{last:?}"
            );
            drop(sent);
        };
        let (ended, ()) = tokio::join!(read(&mut frames, &queue, &heard, pongs, "test"), looking);
        assert_eq!(ended, "connection lost");
        let dropped = recorder.handle().render();
        assert!(
            dropped.contains(r#"mege_ari_frames_dropped_total{actor="test"} 2"#),
            "{dropped}"
        );
    }

    #[test]
    fn the_words_of_a_close_are_one_line() {
        let words = close_words(CloseReason {
            code: CloseCode::Error,
            description: Some("over\n\u{1b}[2J".to_owned()),
        });
        assert_eq!(words, "closed with 1011 over\\n\\u001b[2J");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_found_within_15_s() {
        let (ours, _theirs) = tokio::io::duplex(64 * 1024);
        let socket: BoxedSocket = Box::new(ours);
        let (queue, mut received) = queue();
        let begun = Instant::now();
        let pumped = reader(Framed::new(socket, Codec::new()), queue, "test".to_owned());
        let (closed, ()) = tokio::join!(received.recv(), pumped);
        assert!(
            matches!(&closed, Some(Received::Closed(reason)) if reason.contains("nothing heard")),
            "{closed:?}"
        );
        assert!(
            begun.elapsed() <= Duration::from_secs(15),
            "{:?}",
            begun.elapsed()
        );
    }

    #[actix_rt::test]
    async fn large_frames_do_not_take_the_memory_and_a_queue_that_stays_full_is_one_gap() {
        const FIT: usize = QUEUE_BYTES / MAX_FRAME;
        let (queue, mut received) = queue();
        let (sent, frames) = mpsc::unbounded_channel();
        let mut frames = UnboundedReceiverStream::new(frames);
        let heard = Cell::new(Instant::now());
        let (pongs, _owed) = mpsc::channel(1);
        let large = Bytes::from(vec![b' '; MAX_FRAME]);
        let looking = async {
            for _ in 0..FIT {
                sent.send(Ok(Frame::Text(large.clone()))).unwrap();
            }
            // Full; and half of it is handled, while more comes than that.
            for handled in 0..FIT / 2 {
                for _ in 0..2 {
                    sent.send(Ok(Frame::Text(large.clone()))).unwrap();
                    tokio::task::yield_now().await;
                }
                let frame = received.recv().await;
                assert!(matches!(frame, Some(Received::Frame(..))), "{handled}: {frame:?}");
            }
            sent.send(Ok(Frame::Text(large.clone()))).unwrap();
            drop(sent);
        };
        let (ended, ()) = tokio::join!(read(&mut frames, &queue, &heard, pongs, "test"), looking);
        assert_eq!(ended, "connection lost");
        for _ in FIT / 2..FIT {
            let frame = received.try_recv();
            assert!(matches!(frame, Ok(Received::Frame(..))), "{frame:?}");
        }
        let gap = received.try_recv();
        assert!(
            matches!(gap, Ok(Received::Gap(dropped)) if dropped == FIT as u64),
            "{gap:?}"
        );
        let last = received.try_recv();
        assert!(matches!(last, Ok(Received::Frame(..))), "{last:?}");
        assert!(received.try_recv().is_err());
    }
}
