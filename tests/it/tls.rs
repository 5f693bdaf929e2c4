//! TLS: what is spoken, what is refused, and a certificate that is renewed.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::app::{LIMIT, TestApp};
use crate::support::program::Program;
use crate::support::tls::{Pair, ask, connect_with};
use crate::support::{eventually, metrics};

async fn start(pair: &Pair, folder: &tempfile::TempDir) -> (TestApp, String) {
    let app = TestApp::start(&pair.write(folder.path())).await;
    let to = app.origin.strip_prefix("http://").expect("an origin").to_owned();
    (app, to)
}

#[actix_rt::test]
async fn http1_is_spoken_whatever_else_is_offered_and_nothing_in_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let (app, to) = start(&pair, &folder).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"http/1.1"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut client = pair.connect(&to, offered).await.expect("a handshake");
        let connection = client.get_ref().1;
        assert_eq!(connection.alpn_protocol(), chosen);
        assert_eq!(
            connection.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        let answer = ask(&mut client, "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // Who speaks nothing else learns it in the handshake.
    assert!(pair.connect(&to, &["h2"]).await.is_err());
    let older = pair.client(&[&rustls::version::TLS12], &[]);
    let mut client = connect_with(&older, &to).await.expect("a handshake");
    assert!(ask(&mut client, "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(
        !Pair::new().is_served(&to).await,
        "another certificate is not trusted"
    );

    let mut clear = TcpStream::connect(&to).await.expect("a connection");
    clear
        .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    app.stop().await;
}

#[actix_rt::test]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let (app, to) = start(&pair, &folder).await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(&to).await.expect("a connection");
    // The head of a record that does not come.
    silent.write_all(&[0x16, 3, 1, 2, 0]).await.expect("a beginning");
    let mut nothing = Vec::new();
    let ended = timeout(LIMIT, silent.read_to_end(&mut nothing)).await;
    let _ = ended.expect("an end");
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    let mut client = pair.connect(&to, &[]).await.expect("a handshake");
    let failed = metrics::sum(
        &metrics(&mut client).await,
        "mege_tls_handshakes_failed_total",
        &[],
    );
    assert_eq!(failed, Some(1.0));
    app.stop().await;
}

#[actix_rt::test]
async fn a_renewed_certificate_is_served_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second, third, fourth] = [(); 4].map(|()| Pair::new());
    // As certbot and cert-manager have it: what is configured is a link, and what it leads to is exchanged.
    let [live, old, new] = ["live", "1", "2"].map(|name| folder.path().join(name));
    fs::create_dir(&old).expect("a folder");
    fs::create_dir(&new).expect("a folder");
    symlink(&old, &live).expect("a link");
    first.write(&old);
    second.write(&new);
    let mut variables = first.write(&old);
    for (_, value) in &mut variables[1..] {
        *value = value.replace("/1/", "/live/");
    }
    let app = TestApp::start(&variables).await;
    let to = app.origin.strip_prefix("http://").expect("an origin").to_owned();
    let mut kept = first.connect(&to, &[]).await.expect("a handshake");
    assert!(ask(&mut kept, "/livez").await.starts_with("HTTP/1.1 200 "));

    let link = folder.path().join("next");
    symlink(&new, &link).expect("a link");
    fs::rename(&link, &live).expect("a link exchanged");
    eventually("the second is served", LIMIT, async || {
        second.is_served(&to).await.then_some(())
    })
    .await;
    assert!(!first.is_served(&to).await);
    assert!(
        ask(&mut kept, "/livez").await.starts_with("HTTP/1.1 200 "),
        "the old connection lasts"
    );

    // A certificate without its key, then nonsense, then no file at all.
    let (certificate, key) = (new.join("tls.crt"), new.join("tls.key"));
    for content in [Some(third.certificate.as_str()), Some("nonsense"), None] {
        match content {
            Some(text) => fs::write(&certificate, text).expect("a file written"),
            None => fs::remove_file(&certificate).expect("a file removed"),
        }
        eventually("the pair is refused", LIMIT, async || {
            let mut client = second.connect(&to, &[]).await.expect("the second is served");
            let metrics = metrics(&mut client).await;
            metrics.contains("mege_tls_certificate_refused 1").then_some(())
        })
        .await;
        second.write(&new);
        eventually("the pair is good again", LIMIT, async || {
            let mut client = second.connect(&to, &[]).await.expect("the second is served");
            let metrics = metrics(&mut client).await;
            metrics.contains("mege_tls_certificate_refused 0").then_some(())
        })
        .await;
    }
    // Half at a time, as two writes have it.
    fs::write(&key, &fourth.key).expect("a key written");
    sleep(Duration::from_millis(300)).await;
    fs::write(&certificate, &fourth.certificate).expect("a certificate written");
    eventually("the fourth is served", LIMIT, async || {
        fourth.is_served(&to).await.then_some(())
    })
    .await;
    app.stop().await;
}

/// All of `/metrics`.
async fn metrics(client: &mut tokio_rustls::client::TlsStream<TcpStream>) -> String {
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.expect("a request sent");
    let mut text = Vec::new();
    // An end without a closing alert is one too.
    let _ = client.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[actix_rt::test]
async fn a_pair_that_cannot_be_used_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pair, other) = (Pair::new(), Pair::new());
    let variables = pair.write(folder.path());
    let good = Program::start(&["check"], &variables).ended().await;
    assert_eq!(good.code, Some(0), "{}", good.said);
    assert_eq!(good.line("http.tls"), "http.tls: ok");

    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    for (path, content, words) in [
        (
            &key,
            Some(other.key.as_str()),
            "http.tls_certificate and http.tls_key cannot be used together",
        ),
        (&key, Some("S3CRET"), "http.tls_key ("),
        (&key, None, "http.tls_key ("),
        (&certificate, Some("S3CRET"), "http.tls_certificate ("),
        (&certificate, None, "http.tls_certificate ("),
    ] {
        pair.write(folder.path());
        match content {
            Some(text) => fs::write(path, text).expect("a file written"),
            None => fs::remove_file(path).expect("a file removed"),
        }
        for (command, code) in [("serve", 2), ("check", 1)] {
            let ended = Program::start(&[command], &variables).ended().await;
            assert_eq!(ended.code, Some(code), "{}", ended.said);
            assert!(ended.said.contains(words), "{words}: {}", ended.said);
            for secret in ["S3CRET", "PRIVATE KEY", "BEGIN"] {
                assert!(!ended.said.contains(secret), "{}", ended.said);
            }
        }
    }
}
