//! PAC's faults and its token.

use jiff::Timestamp;
use tonic::Code;

use super::*;
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
