//! A key that is limited to some PBXs is limited in everything, whatever its scopes are.

use awc::http::{Method, StatusCode};
use mege_gateway::ledger::key::Scope;
use mege_gateway::recordings::{LinkSignature, RecordingId};
use serde_json::json;

use super::{CDR, KEYS, get, header, make, status};
use crate::support::app::{LIMIT, TestApp, simulated, simulated_as, simulator};
use crate::support::eventually;

#[actix_rt::test]
async fn a_branch_s_key_neither_sees_nor_ends_anything_of_head_office() {
    let (simulator, branch) = (simulator().await, simulator().await);
    let second = simulated_as("BRANCH", &branch);
    let mut variables = simulated(&simulator);
    let second = second.iter().map(|(name, value)| (name.as_str(), value.clone()));
    variables.extend(second);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let names = Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>();
    let head = make(&app, "head", &["cdr:read"], Some(&["main"])).await;
    let everywhere = make(&app, "everywhere", &["cdr:read"], None).await;
    let own = make(&app, "own", &["cdr:read"], Some(&["branch"])).await;
    let limited = make(&app, "branch", &names, Some(&["branch"])).await;
    let key = [("x-api-key", limited.secret.expose())];

    let listed = get(&app, KEYS, &key).await.json();
    let listed: Vec<_> = listed["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| key["name"].clone())
        .collect();
    assert_eq!(listed, [json!("own"), json!("branch")]);
    for (other, expected) in [(&head, 404), (&everywhere, 404), (&own, 204)] {
        let path = format!("{KEYS}/{}", other.key.id);
        let reply = app.send(Method::DELETE, &path, &key, "").await;
        assert_eq!(reply.status, expected, "{}: {}", other.key.name, reply.body);
    }
    assert_eq!(status(&app, CDR, &head).await, 200, "it still holds");

    // What concerns every PBX is for those who see every PBX.
    let signing = app.integrations.stores.keys.link_key().expect("a key for links");
    let rotated = app.send(Method::POST, "/v1/keys:rotate-links", &key, "").await;
    assert_eq!(
        (rotated.status.as_u16(), &rotated.json()["code"]),
        (403, &json!("key_limited"))
    );
    let after = app.integrations.stores.keys.link_key().expect("a key for links");
    let id: RecordingId = "main.1".parse().expect("an id");
    let link = |key| LinkSignature::sign(key, &id, None).to_string();
    assert_eq!(link(&signing), link(&after));
    for path in ["/v1/audit", "/metrics"] {
        assert_eq!(
            get(&app, path, &key).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    let shown = get(&app, "/status", &key).await.json();
    assert_eq!(shown["keys"]["live"], json!(null), "how many others there are");
    let shown: Vec<_> = shown["actors"]
        .as_object()
        .expect("actors")
        .keys()
        .cloned()
        .collect();
    assert_eq!(shown, ["asterisk.branch"]);

    // A call of head office goes on.
    let caller = make(&app, "caller", &["calls:write"], Some(&["main"])).await;
    let own = [
        ("x-api-key", caller.secret.expose()),
        ("content-type", "application/json"),
    ];
    let body = r#"{"source_caller_id":79990000001,"caller_id":102}"#;
    let placed = app.send(Method::POST, "/pbx-api/make-call", &own, body).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.body);
    let path = format!("/v1/calls/{}", placed.json()["uniqueid"].as_str().expect("an id"));
    let hidden = app.send(Method::DELETE, &path, &key, "").await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    assert_eq!(header(&hidden, "content-type"), Some("application/problem+json"));
    assert!(
        simulator
            .asterisk()
            .requests()
            .keys()
            .all(|request| !request.starts_with("DELETE"))
    );
    // And what was refused for who asked is in the audit of those who see it all.
    let admin = make(&app, "admin", &["admin"], None).await;
    let admin = [("x-api-key", admin.secret.expose())];
    eventually("refusals in the audit", LIMIT, async || {
        let audit = get(&app, "/v1/audit", &admin).await.body;
        (audit.contains("key_limited") && audit.contains("not_found")).then_some(())
    })
    .await;
    app.stop().await;
}
