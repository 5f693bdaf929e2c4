//! ARI's events.

use serde_json::{Value, json};

use super::*;
use crate::simulator::PartyBehaviour;

pub(super) const CALL: &str =
    "endpoint=PJSIP/101@3cx&extension=79000000001&context=outgoing&callerId=101&timeout=30";
const NOISE: &str = r#"{"disallowed":[{"type":"ChannelVarset"},{"type":"ChannelDialplan"}]}"#;

/// Subscribes to the trunk and to bridges, without the noise.
pub(super) async fn subscribe(simulator: &Simulator, app: &str) {
    let path = format!("applications/{app}/subscription?eventSource=endpoint:PJSIP/3cx,bridge:");
    assert_eq!(ask(simulator, "POST", &path).await.0, 200);
    let filter: Value = serde_json::from_str(NOISE).unwrap();
    let path = format!("applications/{app}/eventFilter");
    assert_eq!(ask_with(simulator, "PUT", &path, &filter).await.0, 200);
}

/// An event in a word or two, with the channel's number in the order of `ids`.
fn brief(event: &Value, ids: &mut Vec<String>) -> String {
    let channel = event.get("channel").or_else(|| event.get("peer"));
    let id = channel
        .and_then(|channel| channel["id"].as_str())
        .unwrap_or_default();
    if !ids.iter().any(|known| known == id) {
        ids.push(id.to_owned());
    }
    let leg = ids.iter().position(|known| known == id).unwrap_or_default();
    let kind = event["type"].as_str().unwrap_or_default();
    match kind {
        "Dial" => format!("{leg} Dial {}", event["dialstatus"].as_str().unwrap_or_default()),
        "ChannelStateChange" => format!("{leg} {}", event["channel"]["state"].as_str().unwrap_or_default()),
        _ => format!("{leg} {kind}"),
    }
}

#[actix_rt::test]
async fn a_call_is_told_from_its_creation_to_its_end_through_the_trunks_subscription() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    subscribe(&simulator, "gw").await;

    let (status, channel) = ask(&simulator, "POST", &format!("channels/one?{CALL}")).await;
    assert_eq!(
        (status, &channel["id"], &channel["state"]),
        (200, &json!("one"), &json!("Down"))
    );

    let events = events_until(&mut socket, destroys("one")).await;
    let mut ids = Vec::new();
    let briefs: Vec<_> = events.iter().map(|event| brief(event, &mut ids)).collect();
    assert_eq!(
        briefs,
        [
            "0 ChannelCreated",
            "0 Dial ",
            "0 Ringing",
            "0 Dial RINGING",
            "0 Up",
            "0 Dial ANSWER",
            "1 ChannelCreated",
            "1 Dial ",
            "1 Ringing",
            "1 Dial RINGING",
            "1 Up",
            "1 Dial ANSWER",
            "2 BridgeCreated",
            "1 ChannelEnteredBridge",
            "0 ChannelEnteredBridge",
            "1 ChannelHangupRequest",
            "1 ChannelLeftBridge",
            "1 ChannelDestroyed",
            "0 ChannelHangupRequest",
            "0 ChannelLeftBridge",
            "2 BridgeDestroyed",
            "0 ChannelDestroyed",
        ]
    );
    let dials: Vec<_> = events.iter().filter(|event| event["type"] == "Dial").collect();
    assert!(dials[0].get("caller").is_none(), "an originate has no caller");
    assert_eq!(
        dials[3]["caller"]["id"], "one",
        "the second leg is joined by its caller"
    );
    assert_eq!(dials[3]["dialstring"], "79000000001@3cx");
    let end = events.last().unwrap();
    assert_eq!(
        (&end["cause"], &end["cause_txt"]),
        (&json!(16), &json!("Normal Clearing"))
    );
    assert_eq!(end["application"], "gw");
    let timestamp = end["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with("+0300"), "{timestamp}");
    assert_eq!(simulator.asterisk().live_channels(), 0);
    let received = &simulator.asterisk().originates()[0];
    assert_eq!(received.extension.as_deref(), Some("79000000001"));
}

#[actix_rt::test]
async fn the_parties_last_digits_decide_unless_the_script_says_otherwise() {
    let simulator = start(brisk()).await;
    simulator.asterisk().script(
        "109",
        PartyBehaviour::Refuses {
            cause: 34,
            sip_status: 503,
        },
    );
    let mut socket = connect(&simulator, "app=gw").await;
    subscribe(&simulator, "gw").await;
    let cases = [
        ("107", "BUSY", 17, json!(486)),
        ("108", "NOANSWER", 19, Value::Null),
        ("109", "CONGESTION", 34, json!(503)),
    ];
    for (extension, status, cause, tech_cause) in cases {
        let path = format!("channels/{extension}?endpoint=PJSIP/{extension}@3cx&extension=79000000001");
        assert_eq!(ask(&simulator, "POST", &path).await.0, 200);
        let events = events_until(&mut socket, destroys(extension)).await;
        let last_dial = events.iter().rfind(|event| event["type"] == "Dial").unwrap();
        assert_eq!(last_dial["dialstatus"], status);
        let end = events.last().unwrap();
        assert_eq!((&end["cause"], &end["tech_cause"]), (&json!(cause), &tech_cause));
    }
    // The number is busy: the second leg ends, and the first with the same cause.
    let path = "channels/number?endpoint=PJSIP/101@3cx&extension=79000000007";
    assert_eq!(ask(&simulator, "POST", path).await.0, 200);
    let events = events_until(&mut socket, destroys("number")).await;
    assert!(
        events
            .iter()
            .any(|event| event["dialstatus"] == "BUSY" && event["caller"]["id"] == "number")
    );
    assert_eq!(events.last().unwrap()["cause"], 17);
}

#[actix_rt::test]
async fn nothing_is_told_without_a_subscription() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    assert_eq!(
        ask(&simulator, "POST", &format!("channels/one?{CALL}")).await.0,
        200
    );
    until(async || simulator.asterisk().live_channels() == 0).await;
    // The first thing that comes is what is sent now.
    simulator.asterisk().send_raw(r#"{"type":"last"}"#);
    assert_eq!(event(&mut socket).await.unwrap()["type"], "last");
}

#[actix_rt::test]
async fn two_matching_subscriptions_tell_twice() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    subscribe(&simulator, "gw").await;
    simulator.asterisk().script("101", PartyBehaviour::NeverAnswers);
    assert_eq!(
        ask(&simulator, "POST", &format!("channels/one?{CALL}")).await.0,
        200
    );
    let path = "applications/gw/subscription?eventSource=channel:one";
    assert_eq!(ask(&simulator, "POST", path).await.0, 200);
    events_until(&mut socket, destroys("one")).await;
    assert!(destroys("one")(&event(&mut socket).await.unwrap()));
}

#[actix_rt::test]
async fn an_application_wins_over_an_extension() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    let path = format!("channels/one?{CALL}&app=gw&appArgs=a,b");
    assert_eq!(ask(&simulator, "POST", &path).await.0, 200);
    let events = events_until(&mut socket, destroys("one")).await;
    let start = events
        .iter()
        .find(|event| event["type"] == "StasisStart")
        .unwrap();
    assert_eq!(start["args"], json!(["a", "b"]));
    assert!(events.iter().any(|event| event["type"] == "StasisEnd"));
    assert!(events.iter().all(
        |event| event["channel"]["dialplan"]["exten"] != "79000000001" || event["channel"]["id"] == "one"
    ));
}

#[actix_rt::test]
async fn subscriptions_and_filter_outlive_the_socket_and_events_meanwhile_are_lost() {
    let simulator = start(brisk()).await;
    let socket = connect(&simulator, "app=gw").await;
    subscribe(&simulator, "gw").await;
    let _pure = connect(&simulator, "app=other&subscribeAll=true").await;
    drop(socket);
    simulator.asterisk().cut_event_sockets();
    until(async || !simulator.asterisk().is_connected("gw")).await;
    until(async || !simulator.asterisk().is_connected("other")).await;
    assert_eq!(ask(&simulator, "GET", "applications/other").await.0, 404);

    assert_eq!(
        ask(&simulator, "POST", &format!("channels/lost?{CALL}")).await.0,
        200
    );
    until(async || simulator.asterisk().live_channels() == 0).await;
    let mut socket = connect(&simulator, "app=gw").await;
    let (_, application) = ask(&simulator, "GET", "applications/gw").await;
    assert_eq!(application["endpoint_ids"], json!(["PJSIP/3cx"]));
    assert_eq!(
        application["events_disallowed"][1],
        json!({"type": "ChannelVarset"})
    );
    assert_eq!(
        ask(&simulator, "POST", &format!("channels/seen?{CALL}")).await.0,
        200
    );
    let first = event(&mut socket).await.unwrap();
    assert_eq!(
        (&first["type"], &first["channel"]["id"]),
        (&json!("ChannelCreated"), &json!("seen"))
    );
}

#[actix_rt::test]
async fn a_second_socket_takes_the_application_and_the_first_stays_open_without_it() {
    let simulator = start(brisk()).await;
    let mut first = connect(&simulator, "app=gw").await;
    let mut second = connect(&simulator, "app=gw").await;
    assert_eq!(event(&mut first).await.unwrap()["type"], "ApplicationReplaced");
    subscribe(&simulator, "gw").await;
    assert_eq!(
        ask(&simulator, "POST", &format!("channels/one?{CALL}")).await.0,
        200
    );
    events_until(&mut second, destroys("one")).await;
    simulator.asterisk().send_raw(r#"{"type":"last"}"#);
    assert_eq!(event(&mut first).await.unwrap()["type"], "last");
}
