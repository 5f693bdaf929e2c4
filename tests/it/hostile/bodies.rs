//! Bodies that never come to their end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{address, honest, raw};
use crate::support::app::{LIMIT, TestApp};
use crate::support::eventually;
use crate::support::program::Program;

/// More than one client may have on their way, of nearly the largest size.
const BODIES: usize = 600;
const LENGTH: usize = 99_000;

fn head(length: usize) -> String {
    format!(
        "POST /v1/keys HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The resident memory of a process, in MB.
fn resident_mb(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its state");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("its memory").trim().trim_end_matches(" kB");
    kib.parse::<usize>().expect("a number") / 1_024
}

/// Sends all of a body but its last byte; what is answered within a second.
async fn all_but_the_last(to: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(to).await.expect("a connection");
    let mut sent = head(LENGTH).into_bytes();
    sent.resize(sent.len() + LENGTH - 1, b' ');
    // It may be refused before it was all sent.
    let _ = socket.write_all(&sent).await;
    let mut answer = vec![0; 1_024];
    let read = timeout(Duration::from_secs(1), socket.read(&mut answer)).await;
    answer.truncate(read.map_or(0, |read| read.unwrap_or_default()));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (socket, answer)
}

#[actix_rt::test]
async fn unfinished_bodies_take_no_more_memory_than_they_may_and_no_place_from_others() {
    let mut program = Program::serve(&[]);
    let origin = program.origin().await;
    let to = address(&origin);
    honest(to).await;
    let before = resident_mb(program.pid());
    let held = join_all((0..BODIES).map(|_| all_but_the_last(to))).await;
    let grown = resident_mb(program.pid()).saturating_sub(before);
    let refused = |answer: &str| answer.starts_with("HTTP/1.1 429 ") && answer.contains("rate_limited");
    let (refusals, waiting): (Vec<_>, Vec<_>) = held.iter().partition(|(_, answer)| !answer.is_empty());
    assert!(refusals.iter().all(|(_, answer)| refused(answer)), "{refusals:?}");
    let bytes = waiting.len() * LENGTH;
    assert!((4 << 20..=8 << 20).contains(&bytes), "{} wait", waiting.len());
    // Some 20 KiB for each connection, and the bodies.
    assert!(grown < 60, "{grown} MB more for {BODIES} bodies");
    // What comes at once needs no place among them.
    let whole = format!("{}{{}}", head(2));
    let answer = raw(
        to,
        whole
            .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
            .as_bytes(),
        LIMIT,
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("missing field"),
        "{answer}"
    );
    drop(held);
    eventually("a place is free again", LIMIT, async || {
        let (_, answer) = all_but_the_last(to).await;
        answer.is_empty().then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_body_that_trickles_is_given_up_long_before_the_deadline() {
    let app = TestApp::start(&[("MEGE__HTTP__TIMEOUT_MS", "600000".to_owned())]).await;
    let mut socket = TcpStream::connect(address(&app.origin))
        .await
        .expect("a connection");
    socket.write_all(head(LENGTH).as_bytes()).await.expect("a head");
    let trickling = async {
        let mut answer = [0; 1_024];
        loop {
            if let Ok(read) = timeout(Duration::from_millis(200), socket.read(&mut answer)).await {
                let read = read.expect("an answer");
                return String::from_utf8_lossy(&answer[..read]).into_owned();
            }
            let _ = socket.write_all(b" ").await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    let answer = timeout(LIMIT, trickling).await.expect("an end");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}
