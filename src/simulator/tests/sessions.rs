//! ARI's limit of connections.

use std::io::ErrorKind;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::*;

#[actix_rt::test]
async fn a_connection_above_the_limit_is_closed_without_an_answer() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    asterisk.limit_sessions(3);
    let address = simulator.ari_address();
    let mut socket = connect(&simulator, "app=gw").await;
    let held = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    until(async || asterisk.sessions().open == 3).await;

    let mut refused = TcpStream::connect(address).await.unwrap();
    match timeout(PATIENCE, refused.read(&mut [0])).await.unwrap() {
        Ok(read) => assert_eq!(read, 0, "nothing is answered"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let sessions = asterisk.sessions();
    assert_eq!((sessions.open, sessions.most, sessions.refused), (3, 3, 1));
    asterisk.send_raw(r#"{"type":"still"}"#);
    assert_eq!(event(&mut socket).await.unwrap()["type"], "still");

    drop(held);
    until(async || asterisk.sessions().open == 1).await;
    assert_eq!(ask(&simulator, "GET", "asterisk/ping").await.0, 200);
    drop(socket);
    until(async || asterisk.sessions().open == 0).await;
    assert_eq!(asterisk.sessions().most, 3);
}

#[actix_rt::test]
async fn there_is_asterisks_own_limit_unless_another_is_set() {
    let simulator = start(brisk()).await;
    let mut held = Vec::new();
    for _ in 0..101 {
        held.push(TcpStream::connect(simulator.ari_address()).await.unwrap());
    }
    until(async || simulator.asterisk().sessions().refused == 1).await;
    assert_eq!(simulator.asterisk().sessions().most, 100);
}
