//! ARI's answers.

use serde_json::{Value, json};

use super::ari::{CALL, subscribe};
use super::*;

#[actix_rt::test]
async fn a_live_channels_id_is_refused_and_can_be_hung_up() {
    let simulator = start(SimulatorSettings {
        pace: Pace {
            talk: PATIENCE,
            ..Pace::brisk()
        },
        ..brisk()
    })
    .await;
    let mut socket = connect(&simulator, "app=gw").await;
    subscribe(&simulator, "gw").await;
    let path = format!("channels/one?{CALL}");
    assert_eq!(ask(&simulator, "POST", &path).await.0, 200);
    let again = ask(&simulator, "POST", &path).await;
    let conflict = json!({"message": "Channel with given unique ID already exists"});
    assert_eq!(again, (409, conflict));
    events_until(&mut socket, |event| event["type"] == "ChannelEnteredBridge").await;
    let (_, bridges) = ask(&simulator, "GET", "bridges").await;
    assert_eq!(bridges[0]["channels"].as_array().unwrap().len(), 2);

    let held = ask(&simulator, "POST", "channels/one/hold").await;
    assert_eq!(
        held,
        (409, json!({"message": "Channel not in Stasis application"}))
    );
    assert_eq!(
        ask(&simulator, "DELETE", "channels/one?reason=nonsense").await.0,
        400
    );
    assert_eq!(ask(&simulator, "DELETE", "channels/one").await.0, 204);
    let events = events_until(&mut socket, destroys("one")).await;
    let requests = events
        .iter()
        .filter(|event| event["type"] == "ChannelHangupRequest" && event["channel"]["id"] == "one");
    let causes: Vec<_> = requests.map(|event| event["cause"].clone()).collect();
    assert_eq!(causes, [32, 16]);
    let ends = events.iter().filter(|event| event["type"] == "ChannelDestroyed");
    assert_eq!(ends.filter(|event| event["cause"] == 16).count(), 2);
    assert_eq!(ask(&simulator, "GET", "channels/one").await.0, 404);
    assert_eq!(
        ask(&simulator, "POST", &path).await.0,
        200,
        "the id is free again"
    );
}

#[actix_rt::test]
async fn errors_are_asterisks_own() {
    let simulator = start(brisk()).await;
    let _socket = connect(&simulator, "app=gw").await;
    let long = format!("channels/{}?{CALL}", "x".repeat(150));
    let message = |text: &str| json!({ "message": text });
    let cases: &[(&str, &str, u16, Value)] = &[
        (
            "POST",
            "channels?extension=1",
            400,
            message("Endpoint must be specified"),
        ),
        (
            "POST",
            "channels?endpoint=101&extension=1",
            400,
            message("Invalid endpoint specified"),
        ),
        (
            "POST",
            "channels?endpoint=PJSIP/101@3cx",
            400,
            message("Application or extension must be specified"),
        ),
        (
            "POST",
            &long,
            400,
            message("Uniqueid length exceeds maximum of 149"),
        ),
        (
            "POST",
            "channels?endpoint=PJSIP/101@other&extension=1",
            500,
            json!({"error": "Allocation failed"}),
        ),
        (
            "POST",
            "channels?endpoint=SIP/101@3cx&extension=1",
            500,
            json!({"error": "Allocation failed"}),
        ),
        ("GET", "channels/none", 404, message("Channel not found")),
        ("DELETE", "channels/none", 404, message("Channel not found")),
        ("POST", "channels/none/hold", 404, message("Channel not found")),
        (
            "GET",
            "channels/",
            404,
            message("ARI URLs do not end with a slash. Try /ari/channels"),
        ),
        ("GET", "nothing", 404, message("Resource not found")),
        ("PUT", "channels", 405, message("Invalid method")),
        ("GET", "applications/none", 404, message("Application not found")),
        (
            "POST",
            "applications/gw/subscription",
            400,
            message("Missing parameter eventSource"),
        ),
        (
            "POST",
            "applications/gw/subscription?eventSource=x:y",
            400,
            message("Invalid event source URI scheme"),
        ),
        (
            "POST",
            "applications/gw/subscription?eventSource=endpoint:PJSIP/other",
            422,
            message("Event source does not exist"),
        ),
        ("GET", "events?app=gw", 426, message("WebSocket upgrade required")),
    ];
    for (method, path, status, body) in cases {
        assert_eq!(
            ask(&simulator, method, path).await,
            (*status, body.clone()),
            "{method} {path}"
        );
    }
    assert_eq!(ask(&simulator, "GET", "asterisk/ping").await.1["ping"], "pong");
    assert_eq!(
        ask(&simulator, "GET", "asterisk/info").await.1["system"]["version"],
        "22.10.1"
    );
}

#[actix_rt::test]
async fn a_body_wins_over_the_query_and_may_not_be_too_large() {
    let simulator = start(brisk()).await;
    let body = json!({"endpoint": "PJSIP/102@3cx", "timeout": 5, "variables": {"A": "b"}});
    assert_eq!(
        ask_with(&simulator, "POST", &format!("channels?{CALL}"), &body)
            .await
            .0,
        200
    );
    let received = simulator.asterisk().originates().remove(0);
    assert_eq!(
        (received.endpoint.as_str(), received.timeout.as_deref()),
        ("PJSIP/102@3cx", Some("5"))
    );

    let body = json!({"variables": {"A": 1}});
    assert_eq!(
        ask_with(&simulator, "POST", &format!("channels?{CALL}"), &body)
            .await
            .0,
        400
    );
    let body = json!({"variables": {"A": "x".repeat(41_000)}});
    assert_eq!(
        ask_with(&simulator, "POST", &format!("channels?{CALL}"), &body)
            .await
            .0,
        413
    );
    let garbled = request(&simulator, "POST", "channels")
        .send_body("{")
        .await
        .unwrap();
    assert_eq!(read(garbled).await.0, 400);
}

#[actix_rt::test]
async fn a_wrong_password_opens_nothing() {
    let simulator = start(brisk()).await;
    let client = awc::Client::default();
    let wrong = client
        .get(url(&simulator, "channels"))
        .basic_auth("simulator", "wrong");
    let refused = (401, json!({"message": "Authentication required"}));
    assert_eq!(read(wrong.send().await.unwrap()).await, refused);
    let none = client.get(url(&simulator, "channels")).send().await.unwrap();
    assert_eq!(read(none).await, refused);
    let key = client.get(url(&simulator, "channels?api_key=simulator:simulator"));
    assert_eq!(read(key.send().await.unwrap()).await.0, 200);
    let socket = client
        .ws(url(&simulator, "events?app=gw"))
        .basic_auth("simulator", Some("wrong"));
    assert!(socket.connect().await.is_err());
    assert!(!simulator.asterisk().is_connected("gw"));
}
