//! Floods of HTTP/2 frames that no client library sends.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::address;
use crate::support::app::{LIMIT, TestApp};
use crate::support::http2::*;
use crate::support::program::Program;
use crate::support::tls::{Pair, ask};

type Client = TlsStream<TcpStream>;

/// A connection that has sent its preface with these settings.
async fn connect(pair: &Pair, to: &str, settings: &[(u16, u32)]) -> Client {
    let mut client = pair.connect(to, &["h2"]).await.expect("a handshake");
    send(&mut client, &preface(settings)).await;
    client
}

/// Sends bytes, all of them: without a flush TLS may keep some.
async fn send(client: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    client.write_all(bytes).await.expect("bytes sent");
    client.flush().await.expect("bytes flushed");
}

/// Sends `piece` over and over until the connection ends; how much was sent by then, and for how long.
async fn flood(client: Client, piece: &[u8]) -> (usize, Duration) {
    let begun = Instant::now();
    let (mut read, mut write) = split(client);
    let mut sent = 0;
    let sending = async {
        while write.write_all(piece).await.is_ok() {
            sent += piece.len();
        }
    };
    // Reading beside it: what is wrong may be said before the end.
    let reading = async { while read_frame(&mut read).await.is_some() {} };
    timeout(LIMIT, async { tokio::join!(sending, reading) })
        .await
        .expect("a flood is cut off");
    (sent, begun.elapsed())
}

/// An honest request on a connection of its own.
async fn honest(pair: &Pair, to: &str) {
    let mut client = pair.connect(to, &["http/1.1"]).await.expect("a handshake");
    assert!(ask(&mut client, "/livez").await.starts_with("HTTP/1.1 200 "));
    let mut client = connect(pair, to, &[]).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/livez"));
    send(&mut client, &request).await;
    let answer = until_frame(&mut client, LIMIT, |frame| frame.0 == HEADERS).await;
    assert_eq!(answer.3[0], 0x88, "status 200");
}

#[actix_rt::test]
async fn floods_of_frames_are_cut_off_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let app = TestApp::start(&pair.write(folder.path())).await;
    let to = address(&app.origin);
    let opened = |id| frame(HEADERS, END_STREAM, id, &request("GET", "/livez"));
    let reset: Vec<u8> = (0..1_000_u32)
        .flat_map(|number| {
            let id = 2 * number + 1;
            let head = frame(HEADERS, END_HEADERS | END_STREAM, id, &request("GET", "/livez"));
            [head, frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat()
        })
        .collect();
    let floods = [
        (
            "headers that go on",
            opened(1),
            frame(CONTINUATION, 0, 1, &[0; 16_384]),
        ),
        (
            "headers that go on with nothing",
            opened(1),
            frame(CONTINUATION, 0, 1, &[]),
        ),
        ("requests taken back", Vec::new(), reset),
        (
            "settings",
            Vec::new(),
            frame(SETTINGS, 0, 0, &[0, 1, 0xff, 0xff, 0xff, 0xff]),
        ),
        ("pings", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("answers to pings", Vec::new(), frame(PING, ACK, 0, &[0; 8])),
    ];
    for (name, first, piece) in floods {
        let mut client = connect(&pair, to, &[]).await;
        send(&mut client, &first).await;
        let (sent, lasted) = flood(client, &piece).await;
        assert!(lasted < Duration::from_secs(3), "{name}: {lasted:?}");
        assert!(sent < 16 << 20, "{name}: {sent} bytes");
        honest(&pair, to).await;
    }
    app.stop().await;
}

#[actix_rt::test]
async fn a_header_block_that_trickles_or_unpacks_to_much_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let app = TestApp::start(&pair.write(folder.path())).await;
    let to = address(&app.origin);

    let trickling = async {
        let client = connect(&pair, to, &[]).await;
        let (mut read, mut write) = split(client);
        let begun = Instant::now();
        let head = frame(HEADERS, END_STREAM, 1, &request("GET", "/livez"));
        send(&mut write, &head).await;
        let sending = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                if write.write_all(&frame(CONTINUATION, 0, 1, &[])).await.is_err() {
                    return;
                }
            }
        };
        let reading = async { assert!(ends_within(&mut read, LIMIT).await) };
        tokio::join!(sending, reading);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    };
    // One frame that says to be all of it, after a request that is answered.
    let in_one = async {
        let mut client = connect(&pair, to, &[]).await;
        let answered = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/livez"));
        send(&mut client, &answered).await;
        until_frame(&mut client, LIMIT, |frame| {
            frame.0 == DATA && frame.1 & END_STREAM != 0
        })
        .await;
        let begun = Instant::now();
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x82; 16_000]);
        send(&mut client, &head[..100]).await;
        assert!(ends_within(&mut client, LIMIT).await);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    };
    let unpacking = async {
        // A field of 4,000 bytes put into the table, then named by one byte each time.
        let mut client = connect(&pair, to, &[]).await;
        let mut block = request("GET", "/livez");
        block.extend([0x40, 1, b'x', 0x7f]);
        // 4,000 as an integer with a prefix of seven bits: 127, then 3,873 in pieces of seven.
        block.extend([0xa1, 0x1e]);
        block.extend([b'y'; 4_000]);
        block.resize(31 * 1024, 0xbe);
        let (first, rest) = block.split_at(16_000);
        let mut bytes = frame(HEADERS, END_STREAM, 1, first);
        bytes.extend(frame(CONTINUATION, END_HEADERS, 1, rest));
        send(&mut client, &bytes).await;
        let refused = timeout(LIMIT, async {
            loop {
                match read_frame(&mut client).await {
                    // 431, or no answer at all.
                    Some((HEADERS, _, _, block)) => return block[0] != 0x88,
                    Some(_) => {}
                    None => return true,
                }
            }
        });
        assert!(refused.await.expect("an end"), "it is no ordinary request");
    };
    tokio::join!(trickling, in_one, unpacking);
    honest(&pair, to).await;
    app.stop().await;
}

#[actix_rt::test]
async fn streams_beyond_the_bound_are_refused_and_those_within_are_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let app = TestApp::start(&pair.write(folder.path())).await;
    // No window: an answer with a body stays open.
    let client = connect(&pair, address(&app.origin), &[(4, 0)]).await;
    let (mut read, mut write) = split(client);
    let requests: Vec<u8> = (0..300_u32)
        .flat_map(|number| {
            let flags = END_HEADERS | END_STREAM;
            frame(HEADERS, flags, 2 * number + 1, &request("GET", "/livez"))
        })
        .collect();
    send(&mut write, &requests).await;
    let (mut ok, mut refused) = (0, 0);
    while ok + refused < 300 {
        let answer = until_frame(&mut read, LIMIT, |frame| frame.0 == HEADERS).await;
        if answer.3[0] == 0x88 {
            ok += 1;
        } else {
            assert_eq!(
                answer.1 & END_STREAM,
                END_STREAM,
                "a refusal has no body to wait for"
            );
            refused += 1;
        }
    }
    assert_eq!((ok, refused), (100, 200));
    let mut watcher = pair
        .connect(address(&app.origin), &["http/1.1"])
        .await
        .expect("a handshake");
    let metrics = ask(&mut watcher, "/metrics").await;
    let counted = r#"mege_http_requests_total{route="none",method="GET",status="503"} 200"#;
    assert!(metrics.contains(counted), "{metrics}");
    // With a window the open ones end.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
    send(&mut write, &settings).await;
    for _ in 0..100 {
        until_frame(&mut read, LIMIT, |frame| {
            frame.0 == DATA && frame.1 & END_STREAM != 0
        })
        .await;
    }
    app.stop().await;
}

/// Connections that mean to take memory, and requests on every second of them.
const CONNECTIONS: u32 = 40;
const REQUESTS: u32 = 5_000;

/// The memory of a process, in bytes.
fn resident(pid: u32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("its memory");
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    pages * 4_096
}

#[actix_rt::test]
async fn clients_that_never_read_or_end_a_head_take_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let mut program = Program::serve(&pair.write(folder.path()));
    let origin = program.origin().await;
    let to = address(&origin);
    honest(&pair, to).await;
    let before = resident(program.pid());
    let mut held = Vec::new();
    for number in 0..CONNECTIONS {
        let mut client = connect(&pair, to, &[]).await;
        let mut bytes = Vec::new();
        if number % 2 == 0 {
            // As much of a header block as may be.
            bytes.extend(frame(HEADERS, END_STREAM, 1, &request("GET", "/livez")));
            bytes.extend(frame(CONTINUATION, 0, 1, &[0x82; 16_000]));
        } else {
            // Requests whose answers, some 30 MB, are not read.
            for id in 0..REQUESTS {
                let block = request("GET", "/metrics");
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * id + 1, &block));
            }
        }
        // It may not take all of it.
        let _ = timeout(Duration::from_millis(200), client.write_all(&bytes)).await;
        held.push(client);
    }
    let grown = resident(program.pid()).saturating_sub(before);
    honest(&pair, to).await;
    let each = grown / CONNECTIONS as usize;
    assert!(each < 1 << 20, "{} KiB for each connection", each >> 10);
}
