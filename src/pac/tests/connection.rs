//! One connection, its loss and its return, the token, and what `/status` shows.

use std::sync::atomic::Ordering;

use jsonwebtoken::{DecodingKey, Validation, decode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::actor::{Class, InjectedFault};

const KEY: &str = "a shared key of some length, 32+";

fn ok() -> Say {
    Say::Result("[]".to_owned())
}

fn with_token(address: &str) -> PacSettings {
    let settings = serde_json::json!({ "address": address, "jwt": { "key": KEY, "client_id": "gateway" } });
    serde_json::from_value(settings).unwrap()
}

#[actix_rt::test]
async fn a_hundred_requests_share_one_connection() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    for _ in 0..100 {
        read(&pac, 5 * SECOND).await.unwrap();
    }
    assert_eq!(server.requests(), 100);
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn a_refused_connection_is_unavailable_and_shows_on_status() {
    let pac = start(&nobody().await);
    let reply = read(&pac, 5 * SECOND).await;
    assert!(
        matches!(reply, Err(AskError::Reply(PacError::Unavailable(_)))),
        "{reply:?}"
    );
    let report = pac.health().report();
    assert!(!report.usable);
    assert_eq!(report.detail["reachable"], false);
    assert_eq!(report.detail["last_error"], "no connection");
}

#[actix_rt::test]
async fn a_pac_that_comes_back_is_found_without_traffic() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    until("found", async || {
        pac.health().report().detail["reachable"] == true
    })
    .await;
    assert!(pac.health().report().usable);
    let address = server.kill();
    until("missed", async || {
        let _ = read(&pac, 5 * SECOND).await;
        !pac.health().report().usable
    })
    .await;
    let server = Server::start_at(address, ok());
    // Not even the probe has to have come by: the next request connects.
    assert!(read(&pac, 5 * SECOND).await.is_ok());
    drop(server);
    until("missed again", async || {
        let _ = read(&pac, 5 * SECOND).await;
        !pac.health().report().usable
    })
    .await;
}

#[actix_rt::test]
async fn the_probe_finds_a_pac_that_starts_late() {
    let address = nobody().await;
    let pac = start(&address);
    until("missed", async || {
        pac.health().report().detail["reachable"] == false
    })
    .await;
    let server = Server::start_at(address.parse().unwrap(), ok());
    until("found", async || {
        pac.health().report().detail["reachable"] == true
    })
    .await;
    assert!(server.seen.probes.load(Ordering::SeqCst) >= 1);
    assert_eq!(server.requests(), 0);
    assert_eq!(pac.in_flight(Class::Read), 0);
}

#[actix_rt::test]
async fn the_token_is_sent_and_can_be_verified() {
    let server = Server::start(ok());
    let pac = start_with(with_token(&server.address()));
    read(&pac, 5 * SECOND).await.unwrap();
    let sent = server.seen.authorization.lock().unwrap().clone().unwrap();
    let mut validation = Validation::default();
    validation.set_audience(&["onvoip.ru"]);
    validation.set_issuer(&["pac"]);
    let key = DecodingKey::from_secret(KEY.as_bytes());
    let token = sent.strip_prefix("Bearer ").unwrap();
    let claims = decode::<serde_json::Value>(token, &key, &validation)
        .unwrap()
        .claims;
    assert_eq!(claims["clientId"], "gateway");
    read(&pac, 5 * SECOND).await.unwrap();
    let again = server.seen.authorization.lock().unwrap().clone().unwrap();
    assert_eq!(again, sent, "it is kept");
}

/// Answers whatever is asked with `:status: 16`, as PAC's check of tokens does.
async fn refusing_pac() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(refuse(stream));
        }
    });
    address
}

async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&SETTINGS).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await?;
        let is_headers = head[3] == 1;
        if is_headers {
            // HEADERS with END_STREAM and END_HEADERS on the same stream; `:status` is entry 8 of HPACK's table.
            let mut frame = vec![0, 0, 4, 1, 5];
            frame.extend(&head[5..9]);
            frame.extend([0x08, 2, b'1', b'6']);
            stream.write_all(&frame).await?;
        }
    }
}

#[actix_rt::test]
async fn an_illegal_http_status_hints_at_the_token_where_there_is_one() {
    let address = refusing_pac().await;
    let Err(AskError::Reply(PacError::Unavailable(text))) =
        read(&start_with(with_token(&address)), 5 * SECOND).await
    else {
        panic!("an illegal status is no answer");
    };
    assert!(
        text.contains("refuses the token") && !text.contains(KEY),
        "{text}"
    );
    let Err(AskError::Reply(PacError::Unavailable(text))) = read(&start(&address), 5 * SECOND).await else {
        panic!("an illegal status is no answer");
    };
    assert!(!text.contains("token"), "{text}");
}

#[actix_rt::test]
async fn a_connection_that_went_dead_is_found_by_its_pings() {
    let server = Server::start(ok());
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let dead = tokio_util::sync::CancellationToken::new();
    let upstream = server.address;
    let dies = dead.clone();
    tokio::task::spawn_local(async move {
        let mut held = Vec::new();
        while let Ok((mut near, _)) = proxy.accept().await {
            let mut far = TcpStream::connect(upstream).await.unwrap();
            dies.run_until_cancelled(copy_bidirectional(&mut near, &mut far))
                .await;
            held.push((near, far));
        }
    });
    let mut settings = settings(&address);
    settings.request_timeout_ms = 60_000;
    let pac = start_with(settings);
    read(&pac, 5 * SECOND).await.unwrap();
    dead.cancel();
    tokio::task::yield_now().await;
    tokio::time::pause();
    let asked = Instant::now();
    let reply = read(&pac, 60 * SECOND).await;
    assert!(
        matches!(reply, Err(AskError::Reply(PacError::Unavailable(_)))),
        "{reply:?}"
    );
    assert!(asked.elapsed() < 12 * SECOND, "after {:?}", asked.elapsed());
}

#[actix_rt::test]
async fn an_actor_that_panicked_is_rebuilt_with_a_connection_of_its_own() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    read(&pac, 5 * SECOND).await.unwrap();
    pac.inject(InjectedFault::Panic);
    until("rebuilt", async || pac.health().report().restarts == 1).await;
    assert!(read(&pac, 5 * SECOND).await.is_ok());
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 2);
}
