//! Access: who gets in, who does not, and what they are told.

mod audit;
mod command;
mod limited;
mod pages;
mod rate;
mod revocation;
mod table;
mod trust;

use std::collections::BTreeSet;

use awc::http::{Method, StatusCode};
use mege_gateway::ledger::key::{CreateKey, CreatedKey, NewKey, Principal, RevokeKey};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::{LIMIT, Reply, TestApp, simulated, simulator};
use crate::support::program::free_tcp_port;

/// A route that needs a key with `cdr:read`, and one that needs `admin`.
const CDR: &str = "/pbx-api/last-call-id";
const KEYS: &str = "/v1/keys";

fn by() -> Principal {
    Principal {
        who: "a test".to_owned(),
        key_id: None,
        origin: "here".to_owned(),
        request_id: None,
    }
}

/// Makes a key in the gateway's ledger.
pub(crate) async fn make(app: &TestApp, name: &str, scopes: &[&str], pbxs: Option<&[&str]>) -> CreatedKey {
    let text = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (scopes, pbxs) = (text(scopes), pbxs.map(text));
    let configured: BTreeSet<String> = pbxs.iter().flatten().cloned().collect();
    let key = NewKey::parse(name, &scopes, pbxs.as_deref(), &configured).expect("a sound key");
    let create = CreateKey { key, by: by() };
    let ledger = &app.integrations.stores.ledger;
    ledger.ask(create, Instant::now() + LIMIT).await.expect("a key")
}

async fn revoke(app: &TestApp, key: &CreatedKey) {
    let revoke = RevokeKey {
        id: key.key.id,
        by: by(),
    };
    let ledger = &app.integrations.stores.ledger;
    ledger
        .ask(revoke, Instant::now() + LIMIT)
        .await
        .expect("no key any more");
}

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    app.send(Method::GET, path, headers, "").await
}

/// The status of a request with this key, sent as `X-API-Key`.
async fn status(app: &TestApp, path: &str, key: &CreatedKey) -> u16 {
    get(app, path, &[("x-api-key", key.secret.expose())])
        .await
        .status
        .as_u16()
}

pub(crate) fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.get(name).and_then(|value| value.to_str().ok())
}

#[actix_rt::test]
async fn without_a_key_everybody_here_is_let_in_until_there_was_one() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    assert_eq!(get(&app, CDR, &[]).await.status, StatusCode::OK);
    assert_eq!(app.make_call(102, 79_990_000_001).await.status, StatusCode::OK);

    let json_type = ("content-type", "application/json");
    let wanted = json!({ "name": "crm", "scopes": ["cdr:read"], "pbxs": ["main"] }).to_string();
    let made = app.send(Method::POST, KEYS, &[json_type], wanted.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(header(&made, "cache-control"), Some("no-store"));
    let made = made.json();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!((&made["name"], &made["pbxs"]), (&json!("crm"), &json!(["main"])));

    // At once, and for ever.
    assert_eq!(get(&app, CDR, &[]).await.status, StatusCode::UNAUTHORIZED);
    let key = [("x-api-key", secret.as_str())];
    assert_eq!(get(&app, CDR, &key).await.status, StatusCode::OK);
    assert_eq!(get(&app, KEYS, &key).await.status, StatusCode::FORBIDDEN);
    let admin = make(&app, "admin", &["admin"], None).await;
    let admin = [("x-api-key", admin.secret.expose()), json_type];
    let taken = app.send(Method::POST, KEYS, &admin, wanted).await;
    assert_eq!(
        (taken.status.as_u16(), &taken.json()["code"]),
        (409, &json!("key_name_taken"))
    );

    // What is asked for wrongly is said by field; a PBX that is not there is not found.
    for (body, status, words) in [
        (json!({ "name": "a b", "scopes": ["admin"] }), 400, "name must be"),
        (json!({ "name": "a", "scopes": ["root"] }), 400, "scopes must be"),
        (json!({ "name": "a", "scopes": [] }), 400, "scopes must be"),
        (
            json!({ "name": "a", "scopes": ["admin"], "pbxs": ["office"] }),
            404,
            "(main)",
        ),
        (
            json!({ "name": "a", "scopes": ["admin"], "pbxs": [] }),
            400,
            "pbxs must be",
        ),
        (
            json!({ "name": "a", "scopes": ["admin"], "pbx": ["main"] }),
            400,
            "unknown field `pbx`",
        ),
        (json!({ "scopes": ["admin"] }), 400, "missing field `name`"),
    ] {
        let reply = app.send(Method::POST, KEYS, &admin, body.to_string()).await;
        assert_eq!(reply.status.as_u16(), status, "{body}");
        let detail = reply.json()["detail"].as_str().expect("words").to_owned();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let no_type = app.send(Method::POST, KEYS, &admin[..1], "{}").await;
    assert_eq!(no_type.status, StatusCode::BAD_REQUEST, "{}", no_type.body);

    // Revoked, listed as such, and revoked again.
    let id = made["id"].as_str().expect("an id");
    for _ in 0..2 {
        let path = format!("{KEYS}/{id}");
        let reply = app.send(Method::DELETE, &path, &admin, "").await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(get(&app, CDR, &key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&app, CDR, &[]).await.status, StatusCode::UNAUTHORIZED);
    let keys = get(&app, KEYS, &admin).await;
    assert!(!keys.body.contains(&secret[5..]), "{}", keys.body);
    let keys = keys.json();
    assert_eq!(
        (&keys["keys"][0]["name"], &keys["keys"][1]["name"]),
        (&json!("admin"), &json!("crm"))
    );
    assert!(keys["keys"][1]["revoked_at"].is_string());
    app.stop().await;
}

#[actix_rt::test]
async fn nobody_makes_a_key_that_sees_more_than_its_own() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    let second = format!("127.0.0.1:{}", free_tcp_port());
    variables.push(("MEGE__PAC__OFFICE__ADDRESS", second));
    let app = TestApp::start(&variables).await;
    let office = make(&app, "office", &["admin"], Some(&["office"])).await;
    let office = [
        ("x-api-key", office.secret.expose()),
        ("content-type", "application/json"),
    ];
    for (name, pbxs, status) in [
        ("a", json!(["office"]), 201),
        ("b", json!(["main"]), 404),
        ("c", json!(["main", "office"]), 404),
        // Left out, it is all that the maker sees.
        ("d", Value::Null, 201),
    ] {
        let body = json!({ "name": name, "scopes": ["cdr:read"], "pbxs": pbxs }).to_string();
        let reply = app.send(Method::POST, KEYS, &office, body).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
        if status == 201 {
            assert_eq!(reply.json()["pbxs"], json!(["office"]));
        }
    }
    // All that there are by name are not those of the future.
    let both = make(&app, "both", &["admin"], Some(&["main", "office"])).await;
    let both = [
        ("x-api-key", both.secret.expose()),
        ("content-type", "application/json"),
    ];
    let body = json!({ "name": "e", "scopes": ["cdr:read"] }).to_string();
    let reply = app.send(Method::POST, KEYS, &both, body).await;
    assert_eq!(reply.json()["pbxs"], json!(["main", "office"]), "{}", reply.body);
}
