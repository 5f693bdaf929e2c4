//! Clients that ask for much and read none of it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use mege_gateway::cdr::{Apply, Batch, Sourced};
use mege_gateway::simulator::{Row, simulated_days};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{address, honest};
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::program::Program;
use crate::support::recorded::{Recordings, links, store};
use crate::support::tls::{Pair, ask};
use crate::support::{eventually, metrics};

/// Rows of such a length: more than a connection's buffers hold.
const ROWS: u128 = 6_000;
const NUMBER: usize = 4_000;

/// When a client that reads nothing is gone.
const GONE: Duration = Duration::from_secs(40);

const CDR: &str = "POST /pbx-api/cdr HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"call_id\":\"0\"}";

/// Fills the store with one leg again and again.
async fn fill(app: &TestApp) {
    let rows = simulated_days(1, Timestamp::now(), 1).into_iter();
    let mut legs = rows.filter_map(|row| match row.what {
        Row::Cdr(leg) => Some(*leg),
        Row::Recording(_) => None,
    });
    let mut leg = legs.next().expect("a leg");
    leg.source_participant_phone_number = Some("7".repeat(NUMBER));
    let sourced = |number| {
        let mut row = leg.clone();
        row.cdr_id = Uuid::from_u128(number);
        Sourced {
            row,
            source_digest: number.to_string(),
        }
    };
    eventually("the store is open", LIMIT, async || {
        app.integrations.stores.cdr.health().report().usable.then_some(())
    })
    .await;
    let numbers: Vec<u128> = (0..ROWS).collect();
    for numbers in numbers.chunks(500) {
        let cdrs = numbers.iter().map(|number| sourced(*number)).collect();
        let batch = Batch {
            cdrs,
            ..Batch::default()
        };
        let apply = Apply {
            pbx: "main".to_owned(),
            batch,
        };
        let stored = app
            .integrations
            .stores
            .cdr
            .ask(apply, Instant::now() + LIMIT)
            .await;
        stored.expect("rows stored");
    }
}

/// The variables of a gateway whose 3CX is away, so that its store stays as it is filled.
async fn variables() -> Vec<(&'static str, String)> {
    let gone = simulator().await;
    simulated(&gone)
}

#[actix_rt::test]
async fn an_answer_that_nobody_reads_ends_its_connection() {
    let app = TestApp::start(&variables().await).await;
    fill(&app).await;
    let to = address(&app.origin);
    let mut socket = TcpStream::connect(to).await.expect("a connection");
    socket.write_all(CDR.as_bytes()).await.expect("a request");
    // One that reads a little now and then is left alone.
    let mut slow = TcpStream::connect(to).await.expect("a connection");
    slow.write_all(CDR.as_bytes()).await.expect("a request");
    let begun = Instant::now();
    let mut part = vec![0; 1 << 20];
    eventually("it is cut", GONE, async || {
        slow.read_exact(&mut part[..64 * 1024])
            .await
            .expect("its answer goes on");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let cut = app
            .count("mege_http_connections_cut_total", &["answer_not_read"])
            .await;
        (cut > 0.0).then_some(())
    })
    .await;
    assert!(begun.elapsed() > Duration::from_secs(5), "it had its time");
    // What the buffers held is all that there is of it.
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    assert!(
        rest.len() < 20 << 20 && !rest.ends_with(b"0\r\n\r\n"),
        "{}",
        rest.len()
    );
    honest(to).await;
    app.stop().await;
}

#[actix_rt::test]
async fn with_tls_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let mut settings = variables().await;
    settings.extend(pair.write(folder.path()));
    let app = TestApp::start(&settings).await;
    fill(&app).await;
    let to = address(&app.origin);
    let mut reader = pair.connect(to, &["http/1.1"]).await.expect("a handshake");
    reader.write_all(CDR.as_bytes()).await.expect("a request");
    reader.flush().await.expect("a request");
    eventually("it is cut", GONE, async || {
        let mut honest = pair.connect(to, &[]).await.expect("a handshake");
        let first = ask(&mut honest, "/metrics").await;
        let mut metrics = vec![0; 1 << 20];
        let read = honest.read(&mut metrics).await.unwrap_or_default();
        let metrics = first + &String::from_utf8_lossy(&metrics[..read]);
        let cut = metrics::sum(&metrics, "mege_http_connections_cut_total", &["answer_not_read"]);
        (cut > Some(0.0)).then_some(())
    })
    .await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_reads_as_fast_as_a_recording_plays_is_left_alone() {
    const FILE: &str = "110/long.wav";
    let recordings = Recordings::new();
    recordings.put(FILE, vec![0; 20 << 20]);
    let app = recordings.gateway(&[]).await;
    store(&app, [FILE], false).await;
    let [link] = links(&app).await.try_into().expect("one link");
    let path = link.strip_prefix(&app.origin).expect("a link to here");
    let mut player = TcpStream::connect(address(&app.origin))
        .await
        .expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    player.write_all(request.as_bytes()).await.expect("a request");
    let begun = Instant::now();
    while begun.elapsed() < GONE {
        // 16 kB in a second.
        player.read_exact(&mut [0; 4_000]).await.expect("sound");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let cut = app
        .count("mege_http_connections_cut_total", &["answer_not_read"])
        .await;
    assert_eq!(cut, 0.0, "it took all that it could");
    app.stop().await;
}

/// Connections that mean to take memory.
const CONNECTIONS: usize = 40;

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
    // As much of a head as may be; and requests whose answers, some 30 MB or many without a body, are not read.
    let head = format!("GET /livez HTTP/1.1\r\nx: {}", "y".repeat(100_000));
    let metrics = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(5_000);
    let empty = "HEAD /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100_000);
    let mut held = Vec::new();
    for sent in [head, metrics, empty] {
        let before = resident(program.pid());
        let clients = (0..CONNECTIONS).map(|_| async {
            let mut client = pair.connect(to, &[]).await.expect("a handshake");
            // It may not take all of it.
            let _ = timeout(Duration::from_secs(3), client.write_all(sent.as_bytes())).await;
            client
        });
        held.extend(join_all(clients).await);
        let each = resident(program.pid()).saturating_sub(before) / CONNECTIONS;
        assert!(
            each < 1 << 20,
            "{} KiB for each that sends {}",
            each >> 10,
            &sent[..10]
        );
    }
    let mut honest = pair.connect(to, &[]).await.expect("a handshake");
    assert!(ask(&mut honest, "/livez").await.starts_with("HTTP/1.1 200 "));
}

#[actix_rt::test]
async fn requests_that_come_at_once_are_all_answered() {
    const REQUESTS: usize = 500;
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    let to = address(&app.origin);
    let mut client = TcpStream::connect(to).await.expect("a connection");
    let livez = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let requests = format!("{CDR}{livez}").repeat(REQUESTS / 2);
    client.write_all(requests.as_bytes()).await.expect("requests");
    client.shutdown().await.expect("no more");
    let mut answers = String::new();
    let read = timeout(LIMIT, client.read_to_string(&mut answers)).await;
    read.expect("an end in time").expect("answers");
    let answered = answers.matches("HTTP/1.1 200 ").count();
    assert_eq!(answered, REQUESTS, "{answers}");
    app.stop().await;
}
