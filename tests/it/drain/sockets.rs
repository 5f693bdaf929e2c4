//! Open sockets at a stop: the event socket of an Asterisk, and connections that clients keep.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{connected, stopped, variable};
use crate::support::app::{LIMIT, simulator};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::tls::{Pair, ask};

#[actix_rt::test]
async fn the_event_socket_is_closed_with_a_reason() {
    let simulator = simulator().await;
    let (mut program, _) = connected(&simulator, &[]).await;
    stopped(&mut program, "TERM").await;
    assert_eq!(simulator.asterisk().socket_ends(), [Some(1001)]);
}

#[actix_rt::test]
async fn a_half_open_event_socket_puts_nothing_off() {
    let simulator = simulator().await;
    // Longer than all of a stop may take.
    let patient = variable("MEGE__HTTP__SHUTDOWN_MS", 60_000);
    let (mut program, _) = connected(&simulator, &[patient]).await;
    simulator.asterisk().freeze_event_sockets();
    stopped(&mut program, "TERM").await;
}

#[actix_rt::test]
async fn a_request_that_comes_after_the_listener_is_gone_is_answered_on_its_connection() {
    const HEAD: &str =
        "POST /pbx-api/make-call HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    const BODY: &str = r#"{"source_caller_id":79990000001,"caller_id":102}"#;
    let simulator = simulator().await;
    let (mut program, origin) = connected(&simulator, &[]).await;
    let to = origin.strip_prefix("http://").expect("an origin");
    let mut client = TcpStream::connect(to).await.expect("a connection");
    client.write_all(HEAD.as_bytes()).await.expect("half a head");
    program.signal("TERM");
    program.says("accepting no more").await;
    eventually("nothing is accepted", LIMIT, async || {
        TcpStream::connect(to).await.is_err().then_some(())
    })
    .await;
    let rest = format!("content-length: {}\r\n\r\n{BODY}", BODY.len());
    client.write_all(rest.as_bytes()).await.expect("the rest");
    let mut answer = String::new();
    timeout(LIMIT, client.read_to_string(&mut answer))
        .await
        .expect("an end in time")
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(simulator.asterisk().originates().len(), 1);
    assert_eq!(program.ended().await.code, Some(0));
}

#[actix_rt::test]
async fn a_kept_connection_is_told_to_go_and_answered_before_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let mut variables = pair.write(folder.path());
    variables.push(variable("MEGE__HTTP__DRAIN_MS", 3_000));
    let mut program = Program::serve(&variables);
    let origin = program.origin().await;
    let to = origin.strip_prefix("http://").expect("an origin");
    let mut client = pair.connect(to, &[]).await.expect("a handshake");
    let mut silent = pair.connect(to, &[]).await.expect("a handshake");
    for kept in [&mut client, &mut silent] {
        let answer = ask(kept, "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }

    program.signal("TERM");
    program.says("draining").await;
    let answer = ask(&mut client, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let mut rest = Vec::new();
    let told = timeout(LIMIT, client.read_to_end(&mut rest)).await;
    told.expect("an end in time").expect("an orderly one");
    // Who asks nothing puts nothing off.
    let idle = timeout(LIMIT, silent.read_to_end(&mut rest)).await;
    let _ = idle.expect("an end in time");
    assert_eq!(program.ended().await.code, Some(0));
}
