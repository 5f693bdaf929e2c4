//! The real peers themselves: what the other tests take for granted about Asterisk, SIPp and PostgreSQL.

use std::time::Duration;

use awc::http::{Method, StatusCode};
use awc::ws::Frame;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::asterisk::{Asterisk, CONTEXT, TRUNK, USER};
use crate::support::eventually;
use crate::support::postgres::fresh_database;
use crate::support::sipp::{Invite, Sipp};

const LIMIT: Duration = Duration::from_secs(60);

async fn originate(asterisk: &Asterisk, channel: &str, extension: &str, number: &str) {
    let endpoint = format!("PJSIP/{extension}@{TRUNK}");
    #[rustfmt::skip]
    let query = [
        ("endpoint", endpoint.as_str()), ("extension", number), ("context", CONTEXT), ("priority", "1"),
        ("callerId", "500"), ("timeout", "20"),
    ];
    let (status, _) = asterisk
        .ari(Method::POST, &format!("/channels/{channel}"), &query)
        .await
        .expect("a reply");
    assert_eq!(status, StatusCode::OK);
}

async fn channels(asterisk: &Asterisk) -> usize {
    let (_, channels) = asterisk
        .ari(Method::GET, "/channels", &[])
        .await
        .expect("a reply");
    channels.as_array().expect("a list").len()
}

#[actix_rt::test]
async fn a_call_rings_the_extension_then_the_number_and_ends_by_delete() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    originate(&asterisk, "call-1", "102", "+79990000001").await;
    let invite = |user: &str| Invite {
        user: user.to_owned(),
        from: "500".to_owned(),
    };
    assert_eq!(
        sipp.wait_for_invites(2, LIMIT).await,
        [invite("102"), invite("+79990000001")]
    );

    let (status, _) = asterisk
        .ari(Method::DELETE, "/channels/call-1", &[])
        .await
        .expect("a reply");
    assert_eq!(status, StatusCode::NO_CONTENT);
    eventually("both legs are gone", LIMIT, async || {
        (channels(&asterisk).await == 0).then_some(())
    })
    .await;
    assert_eq!(sipp.invites().len(), 2);
}

#[actix_rt::test]
async fn a_far_end_that_hangs_up_ends_both_legs() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    originate(&asterisk, "call-1", "102", "79990000009").await;
    sipp.wait_for_invites(2, LIMIT).await;
    eventually("both legs are gone", LIMIT, async || {
        (channels(&asterisk).await == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_number_that_rings_for_ever_is_cancelled_with_its_call() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    originate(&asterisk, "call-1", "102", "79990000008").await;
    sipp.wait_for_invites(2, LIMIT).await;
    assert_eq!(channels(&asterisk).await, 2);
    asterisk
        .ari(Method::DELETE, "/channels/call-1", &[])
        .await
        .expect("a reply");
    eventually("both legs are gone", LIMIT, async || {
        (channels(&asterisk).await == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_busy_number_ends_the_call_with_cause_17() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let url = format!(
        "ws://{}:{}/ari/events?app=proof",
        asterisk.host(),
        asterisk.port()
    );
    let (_, mut events) = awc::Client::new()
        .ws(url)
        .basic_auth(USER, Some(asterisk.password()))
        .connect()
        .await
        .expect("a socket");
    let source = format!("endpoint:PJSIP/{TRUNK}");
    let subscription = [("eventSource", source.as_str())];
    let path = "/applications/proof/subscription";
    let (status, _) = asterisk
        .ari(Method::POST, path, &subscription)
        .await
        .expect("a reply");
    assert_eq!(status, StatusCode::OK);

    originate(&asterisk, "call-1", "102", "79990000007").await;
    let destroyed = async {
        while let Some(frame) = events.next().await {
            let Frame::Text(text) = frame.expect("a frame") else {
                continue;
            };
            let event: Value = serde_json::from_slice(&text).expect("JSON");
            if event["type"] == "ChannelDestroyed" && event["channel"]["id"] == "call-1" {
                return event;
            }
        }
        panic!("the socket ended");
    };
    let destroyed = tokio::time::timeout(LIMIT, destroyed)
        .await
        .expect("the end of the call");
    assert_eq!(destroyed["cause"], 17);
}

#[actix_rt::test]
async fn two_asterisks_run_side_by_side() {
    let sipp = Sipp::start().await;
    let (first, second) = (
        Asterisk::start(sipp.port()).await,
        Asterisk::start(sipp.port()).await,
    );
    originate(&first, "call-1", "102", "79990000001").await;
    sipp.wait_for_invites(2, LIMIT).await;
    assert_eq!((channels(&first).await, channels(&second).await), (2, 0));
}

#[actix_rt::test]
async fn a_killed_asterisk_refuses_and_comes_back_on_its_port() {
    let mut asterisk = Asterisk::start(9).await;
    asterisk.kill();
    assert!(
        TcpStream::connect((asterisk.host(), asterisk.port()))
            .await
            .is_err()
    );
    asterisk.restart().await;
    assert_eq!(channels(&asterisk).await, 0);
}

#[actix_rt::test]
async fn a_stopped_asterisk_accepts_but_does_not_answer() {
    let asterisk = Asterisk::start(9).await;
    asterisk.stop_process();
    TcpStream::connect((asterisk.host(), asterisk.port()))
        .await
        .expect("the kernel accepts");
    asterisk
        .ari(Method::GET, "/asterisk/ping", &[])
        .await
        .expect_err("nothing answers");
    asterisk.continue_process();
    assert_eq!(channels(&asterisk).await, 0);
}

#[actix_rt::test]
async fn a_fresh_database_is_empty_and_goes_with_its_owner() {
    let database = fresh_database().await;
    let url = database.url.clone();
    let connect = async || tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
    let (client, connection) = connect().await.expect("a connection");
    actix_rt::spawn(connection);
    let tables = "SELECT 1 FROM pg_tables WHERE schemaname = 'public'";
    assert!(client.query(tables, &[]).await.expect("rows").is_empty());
    drop(database);
    assert!(connect().await.is_err());
}
