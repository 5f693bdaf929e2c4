//! PAC's faults and its token.

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::*;
use crate::pac::proto::sql::SqlResponse;
use crate::simulator::{HowOften, PacFault, PacOperation};

#[actix_rt::test]
async fn pac_fails_as_it_is_told_to() {
    let simulator = start(brisk()).await;
    let pbx = simulator.pbx();
    let sql = PacOperation::ExecuteSql;
    let one = HowOften::Next(1);
    let code = async || {
        execute(&simulator, "SELECT 1")
            .await
            .map_err(|status| status.code())
    };

    pbx.fail(sql, PacFault::Unavailable, HowOften::Next(2));
    assert_eq!(code().await, Err(Code::Unavailable));
    assert_eq!(code().await, Err(Code::Unavailable));
    assert_eq!(code().await.unwrap().0, r#"[["1"]]"#);
    pbx.fail(sql, PacFault::ErrorText("boom".to_owned()), one);
    assert_eq!(code().await, Ok(("[]".to_owned(), "boom".to_owned())));
    pbx.fail(sql, PacFault::Result("[[\"x".to_owned()), one);
    assert_eq!(code().await.unwrap().0, "[[\"x");
    pbx.fail(sql, PacFault::Oversized(5 << 20), one);
    assert_eq!(code().await, Err(Code::OutOfRange));
    pbx.fail(sql, PacFault::DropConnection, one);
    assert!(code().await.is_err());

    pbx.fail(sql, PacFault::Hang, HowOften::UntilCleared);
    let before = pbx.requests(sql);
    assert!(timeout(Duration::from_millis(50), code()).await.is_err());
    until(async || pbx.requests(sql).cancelled == before.cancelled + 1).await;
    pbx.clear_faults();
    assert!(code().await.is_ok());
}

#[actix_rt::test]
async fn a_reply_can_be_nonsense_or_too_large_to_a_request_that_was_carried_out() {
    const HUGE: usize = 1_000_000_000;
    let simulator = start(brisk()).await;
    let pbx = simulator.pbx();
    let sql = PacOperation::ExecuteSql;
    for (fault, code) in [
        (PacFault::Message("\u{7}nonsense".into()), Code::Internal),
        (PacFault::Body("<html>oops</html>".into()), Code::Internal),
        (PacFault::Body(Default::default()), Code::Internal),
        (PacFault::Oversized(HUGE), Code::OutOfRange),
    ] {
        pbx.fail(sql, fault.clone(), HowOften::Next(1));
        let failed = execute(&simulator, "SELECT 1").await.unwrap_err();
        assert_eq!(failed.code(), code, "{fault:?}: {failed:?}");
        assert_eq!(execute(&simulator, "SELECT 1").await.unwrap().0, r#"[["1"]]"#);
    }
    let sent = pbx.oversized_bytes();
    assert!(sent < 50_000_000, "{sent} bytes went");

    // One that is read whole is a result, of another message with the same fields.
    let error = prost::Message::encode_to_vec(&SqlResponse {
        result: String::new(),
        error: "boom".to_owned(),
    });
    pbx.fail(sql, PacFault::Message(error.into()), HowOften::Next(1));
    assert_eq!(execute(&simulator, "").await.unwrap().1, "boom");
    pbx.fail(sql, PacFault::Oversized(1_000_000), HowOften::Next(1));
    let (result, _) = execute(&simulator, "").await.unwrap();
    let rows: Vec<Vec<String>> = serde_json::from_str(&result).unwrap();
    assert_eq!(rows[0][0].len(), 1_000_000);
}

#[actix_rt::test]
async fn pac_says_goaway_answers_what_is_under_way_and_takes_what_comes_next() {
    let simulator = start(brisk()).await;
    let pbx = simulator.pbx();
    let sql = PacOperation::ExecuteSql;
    let query = || SqlRequest {
        query: "SELECT 1".to_owned(),
    };
    let mut client = SqlServicePbxServiceClient::new(channel(&simulator).await);
    let late = PacFault::Delay(Duration::from_millis(200));
    pbx.fail(sql, late, HowOften::Next(1));
    let mut same = client.clone();
    let under_way = actix_rt::spawn(async move { same.execute_sql(query()).await });
    until(async || pbx.requests(sql).received == 1).await;
    pbx.go_away().unwrap();
    // A request may meet the GOAWAY itself.
    until(async || client.execute_sql(query()).await.is_ok()).await;
    assert!(under_way.await.unwrap().is_ok());

    // The connection of a client of HTTP/2 that asks nothing more is closed.
    let mut idle = TcpStream::connect(simulator.pac_address()).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    idle.write_all(preface).await.unwrap();
    let mut head = [0; 9];
    idle.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "its settings come first");
    pbx.go_away().unwrap();
    let mut rest = Vec::new();
    let goaway = async || {
        let _ = timeout(Duration::from_millis(5), idle.read_buf(&mut rest)).await;
        // Its length, its type, no flags, the connection's stream.
        rest.windows(9).any(|head| head == [0, 0, 8, 7, 0, 0, 0, 0, 0])
    };
    until(goaway).await;
    pbx.stop_listening().await;
    pbx.go_away().unwrap();
    assert!(TcpStream::connect(simulator.pac_address()).await.is_err());
}

#[actix_rt::test]
async fn pac_can_go_away_and_come_back_on_its_port() {
    let simulator = start(brisk()).await;
    let mut client = SqlServicePbxServiceClient::new(channel(&simulator).await);
    let query = || SqlRequest {
        query: "SELECT 1".to_owned(),
    };
    client.execute_sql(query()).await.unwrap();
    simulator.pbx().stop_listening().await;
    assert!(client.execute_sql(query()).await.is_err());
    simulator.pbx().listen_again().unwrap();
    until(async || client.execute_sql(query()).await.is_ok()).await;
}

#[actix_rt::test]
async fn pac_asks_for_a_token_where_it_has_a_key() {
    let simulator = start(SimulatorSettings {
        jwt_key: Some("a key".to_owned()),
        ..brisk()
    })
    .await;
    let status = execute(&simulator, "SELECT 1").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let in_an_hour = Timestamp::now().as_second() + 3_600;
    for (key, exp, accepted) in [
        ("a key", in_an_hour, true),
        ("another", in_an_hour, false),
        ("a key", in_an_hour - 7_200, false),
    ] {
        let claims = serde_json::json!({"iss": "pac", "aud": "onvoip.ru", "exp": exp, "clientId": "gw"});
        let key = jsonwebtoken::EncodingKey::from_secret(key.as_bytes());
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        let header = format!("Bearer {token}").parse().unwrap();
        let authorise = move |mut request: tonic::Request<()>| {
            request
                .metadata_mut()
                .insert("authorization", tonic::metadata::MetadataValue::clone(&header));
            Ok(request)
        };
        let channel = channel(&simulator).await;
        let mut client = SqlServicePbxServiceClient::with_interceptor(channel, authorise);
        let query = "SELECT 1".to_owned();
        assert_eq!(client.execute_sql(SqlRequest { query }).await.is_ok(), accepted);
    }
}
