//! What is shown of integrations, and to whom.

use awc::http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::{ALL, get, order, shown, until};
use crate::access::make;
use crate::support::app::{TestApp, simulated, simulator};

/// Those of a gateway on a simulator, in the order of their names.
const NAMES: [&str; 5] = ["asterisk.main", "cdr", "collector.main", "ledger", "pac.main"];

#[actix_rt::test]
async fn every_integration_is_shown_with_what_is_known_of_it() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let list = get(&app, ALL).await;
    assert_eq!(list.status, 200, "{}", list.body);
    let list = list.json()["integrations"].take();
    let list = list.as_array().expect("a list");
    let names: Vec<_> = list
        .iter()
        .map(|one| one["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, NAMES);
    for name in NAMES {
        let one = shown(&app, name).await;
        assert_eq!((&one["name"], &one["state"]), (&json!(name), &json!("running")));
        let since: Timestamp = one["since"]
            .as_str()
            .expect("a moment")
            .parse()
            .expect("a moment");
        assert!(since <= Timestamp::now());
        assert_eq!(one["restarts"], 0);
        for operation in one["operations"].as_array().expect("classes of operations") {
            assert_eq!(operation["breaker"], "closed");
            assert!(operation["limits"]["in_flight"].as_u64() > Some(0), "{operation}");
        }
    }
    let asterisk = until(&app, "asterisk.main", "Asterisk's version", |shown| {
        shown["detail"]["version"].is_string()
    })
    .await;
    assert_eq!(
        (&asterisk["detail"]["version"], &asterisk["detail"]["connection"]),
        (&json!("22.10.1"), &json!("connected"))
    );
    for verb in ["restart", "pause", "resume"] {
        for unknown in ["asterisk.other", "asterisk", "nothing", "..", "asterisk.main%2F"] {
            let reply = order(&app, unknown, verb).await;
            assert_eq!(reply.status, 404, "{unknown}: {}", reply.body);
            assert_eq!(reply.json()["code"], "not_found");
        }
    }
    assert_eq!(get(&app, "/v1/integrations/asterisk.other").await.status, 404);
    app.stop().await;
}

#[actix_rt::test]
async fn a_key_of_some_pbxs_has_only_what_is_theirs() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    let all = make(&app, "all", &["admin"], None).await;
    let main = make(&app, "main", &["admin"], Some(&["main"])).await;
    let branch = make(&app, "branch", &["admin"], Some(&["branch"])).await;
    for (key, visible) in [
        (&all, &NAMES[..]),
        (&main, &["asterisk.main", "collector.main", "pac.main"]),
        (&branch, &[]),
    ] {
        let key = [("x-api-key", key.secret.expose())];
        let list = app.send(Method::GET, ALL, &key, "").await.json()["integrations"].take();
        let list = list.as_array().expect("a list");
        let names: Vec<_> = list
            .iter()
            .map(|one| one["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, visible);
        for name in NAMES {
            let status = if visible.contains(&name) { 200 } else { 404 };
            let path = format!("{ALL}/{name}");
            let reply = app.send(Method::GET, &path, &key, "").await;
            assert_eq!(reply.status, status, "{name}: {}", reply.body);
            for verb in ["pause", "resume"] {
                let reply = app.send(Method::POST, &format!("{path}/{verb}"), &key, "").await;
                assert_eq!(reply.status, status, "{name} {verb}: {}", reply.body);
            }
        }
    }
    let ledger = app
        .send(
            Method::POST,
            "/v1/integrations/ledger/restart",
            &[("x-api-key", main.secret.expose())],
            "",
        )
        .await;
    assert_eq!(
        (ledger.status.as_u16(), &ledger.json()["code"]),
        (404, &json!("not_found"))
    );
    assert_eq!(app.integrations.stores.ledger.health().report().restarts, 0);
    app.stop().await;
}

#[actix_rt::test]
async fn a_page_of_another_origin_restarts_nothing_for_whom_the_address_is_enough() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__HTTP__ALLOWED_ORIGINS", "https://crm.example".to_owned()));
    let app = TestApp::start(&variables).await;
    let restart = "/v1/integrations/pac.main/restart";
    for path in [
        restart,
        "/v1/integrations/pac.main/pause",
        "/v1/keys:rotate-links",
    ] {
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
            let reply = app.send(Method::POST, path, &[("origin", origin)], "").await;
            assert_eq!(reply.status, 401, "{path} from {origin}: {}", reply.body);
            assert_eq!(reply.json()["code"], "unauthenticated");
        }
    }
    let report = app.integrations.pac["main"].health().report();
    assert_eq!((report.restarts, report.paused_since), (0, None));
    // The gateway's own page, one that is listed, and whoever has a key.
    let own = app.origin.clone();
    for origin in [own.as_str(), "https://crm.example"] {
        let reply = app.send(Method::POST, restart, &[("origin", origin)], "").await;
        assert_eq!(reply.status, 200, "{origin}: {}", reply.body);
    }
    let key = make(&app, "admin", &["admin"], None).await;
    let headers = [
        ("origin", "https://evil.example"),
        ("x-api-key", key.secret.expose()),
    ];
    let reply = app.send(Method::POST, restart, &headers, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    app.stop().await;
}
