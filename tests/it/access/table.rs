//! Every operation of the served document, against every kind of caller.

use std::collections::BTreeMap;

use awc::http::Method;
use mege_gateway::ledger::key::{KeySecret, Scope};
use mege_gateway::recordings::{LinkSignature, RecordingId};
use serde_json::Value;

use super::{header, make, revoke};
use crate::support::app::{Reply, TestApp, simulated, simulator};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Anybody.
    Public,
    /// Whoever has this scope and may see the PBX; to others it is not there.
    Pbx(Scope),
    /// Whoever has this scope; each is shown what it may see.
    Filtered(Scope),
    /// Whoever has this scope and may see every PBX.
    EveryPbx(Scope),
}

use Expected::{EveryPbx, Filtered, Pbx, Public};
use Scope::{Admin, CallsRead, CallsWrite, CdrRead, RecordingsRead, StatusRead};

/// What is expected of each operation; the paths below `/api` have the prefix of this test.
const EXPECTED: &[(&str, &str, Expected)] = &[
    ("GET", "/livez", Public),
    ("GET", "/readyz", Public),
    ("GET", "/status", Filtered(StatusRead)),
    ("GET", "/metrics", EveryPbx(StatusRead)),
    ("GET", "/openapi.json", Public),
    ("GET", "/docs", Public),
    ("GET", "/docs/errors", Public),
    ("GET", "/docs/{file}", Public),
    ("GET", "/pbx-api", Public),
    ("GET", "/pbx-api-json", Public),
    ("GET", "/api/pbx-api/last-call-id", Pbx(CdrRead)),
    ("POST", "/api/pbx-api/cdr", Pbx(CdrRead)),
    ("POST", "/api/pbx-api/make-call", Pbx(CallsWrite)),
    ("GET", "/api/v1/calls", Filtered(CallsRead)),
    ("GET", "/api/v1/calls/{id}", Pbx(CallsRead)),
    ("DELETE", "/api/v1/calls/{id}", Pbx(CallsWrite)),
    ("GET", "/api/v1/keys", Filtered(Admin)),
    ("POST", "/api/v1/keys", Filtered(Admin)),
    ("DELETE", "/api/v1/keys/{id}", Pbx(Admin)),
    ("POST", "/api/v1/keys:rotate-links", EveryPbx(Admin)),
    ("GET", "/api/v1/audit", EveryPbx(Admin)),
    ("GET", "/api/v1/integrations", Filtered(Admin)),
    ("GET", "/api/v1/integrations/{name}", Pbx(Admin)),
    ("POST", "/api/v1/integrations/{name}/restart", Pbx(Admin)),
    ("POST", "/api/v1/integrations/{name}/pause", Pbx(Admin)),
    ("POST", "/api/v1/integrations/{name}/resume", Pbx(Admin)),
    // Without a link: what a link opens is below.
    ("GET", "/api/v1/recordings/{id}/media", Pbx(RecordingsRead)),
    ("HEAD", "/api/v1/recordings/{id}/media", Pbx(RecordingsRead)),
];

/// Who asks, with which headers, and the status and code that they are refused with.
type Case = (&'static str, Vec<(&'static str, String)>, u16, &'static str);

/// Something that each parameter of a path may be.
fn filled(path: &str) -> String {
    let path = path
        .replace("{file}", "errors.css")
        .replace("recordings/{id}", "recordings/main.1")
        .replace("integrations/{name}", "integrations/asterisk.main")
        .replace("{id}", "01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21");
    assert!(!path.contains('{'), "say what a parameter of {path} may be");
    path
}

/// The operations of the document that the gateway serves.
async fn documented(app: &TestApp) -> BTreeMap<(String, String), Value> {
    let document = app.send(Method::GET, "/openapi.json", &[], "").await.json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut operations = BTreeMap::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            operations.insert((method.to_uppercase(), path.clone()), operation.clone());
        }
    }
    operations
}

fn expectation(method: &str, path: &str) -> Expected {
    let mut all = EXPECTED.iter();
    let found = all.find(|(m, p, _)| (*m, *p) == (method, path));
    let (_, _, expected) =
        found.unwrap_or_else(|| panic!("nothing is expected of {method} {path}: say who may use it"));
    *expected
}

/// A refusal has the shape of its route, and tells programs and people why.
fn assert_refusal(reply: &Reply, path: &str, code: &str) {
    let body = reply.json();
    if path.starts_with("/api/v1/") {
        assert_eq!(header(reply, "content-type"), Some("application/problem+json"));
        assert_eq!(body["status"], reply.status.as_u16());
        assert_eq!(body["code"], code, "{path}");
        assert!(body["detail"].is_string() && body["request_id"].is_string());
    } else {
        assert_eq!(body["error"]["statusCode"], reply.status.as_u16());
        assert_eq!(body["path"], path);
        // What is not there is as the original has it.
        let expected = if code == "not_found" {
            Value::Null
        } else {
            code.into()
        };
        assert_eq!(body["error"]["code"], expected, "{path}");
    }
    let bearer = (code == "unauthenticated").then_some("Bearer");
    assert_eq!(header(reply, "www-authenticate"), bearer);
}

#[actix_rt::test]
async fn every_operation_lets_in_whom_it_should_and_nobody_else() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("API_PREFIX", "api".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;

    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let revoked = make(&app, "revoked", &names, None).await;
    revoke(&app, &revoked).await;
    let unknown = KeySecret::generate().expect("random numbers");
    let mut right = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut foreign = BTreeMap::new();
    let mut lacking = BTreeMap::new();
    for &scope in Scope::ALL {
        let name = |kind: &str| format!("{kind}-{}", scope.as_str().replace(':', "-"));
        let only = [scope.as_str()];
        let others = Scope::ALL.iter().filter(|other| !other.includes(scope));
        let others: Vec<&str> = others.map(|other| other.as_str()).collect();
        right.insert(scope, make(&app, &name("right"), &only, Some(&["main"])).await);
        all.insert(scope, make(&app, &name("all"), &only, None).await);
        foreign.insert(
            scope,
            make(&app, &name("foreign"), &only, Some(&["branch"])).await,
        );
        lacking.insert(scope, make(&app, &name("lacking"), &others, None).await);
    }

    let operations = documented(&app).await;
    for (method, path, _) in EXPECTED {
        let name = ((*method).to_owned(), (*path).to_owned());
        assert!(
            operations.contains_key(&name),
            "{method} {path} is expected and is not there"
        );
    }
    for (method, path) in operations.keys() {
        let expected = expectation(method, path);
        let path = filled(path);
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let ask = async |headers: &[(&str, &str)]| app.send(verb.clone(), &path, headers, "").await;
        let bearer = |secret: &str| format!("Bearer {secret}");
        let scope = match expected {
            Public => {
                for headers in [
                    &[][..],
                    &[("authorization", "Basic nonsense")],
                    &[("x-api-key", revoked.secret.expose())],
                ] {
                    let reply = ask(headers).await;
                    assert_eq!(reply.status, 200, "{method} {path}");
                }
                continue;
            }
            Pbx(scope) | Filtered(scope) | EveryPbx(scope) => scope,
        };
        let foreign = vec![("x-api-key", foreign[&scope].secret.expose().to_owned())];
        let mut refused: Vec<Case> = vec![
            ("no key", vec![], 401, "unauthenticated"),
            (
                "unknown",
                vec![("x-api-key", unknown.expose().to_owned())],
                401,
                "unauthenticated",
            ),
            (
                "malformed",
                vec![("authorization", "Bearer mege_short".to_owned())],
                401,
                "unauthenticated",
            ),
            (
                "another scheme",
                vec![("authorization", "Basic bWVnZTpzZWNyZXQ=".to_owned())],
                401,
                "unauthenticated",
            ),
            (
                "two keys",
                vec![
                    ("authorization", bearer(right[&scope].secret.expose())),
                    ("x-api-key", lacking[&scope].secret.expose().to_owned()),
                ],
                401,
                "unauthenticated",
            ),
            (
                "revoked",
                vec![("authorization", bearer(revoked.secret.expose()))],
                401,
                "unauthenticated",
            ),
            (
                "wrong scope",
                vec![("authorization", bearer(lacking[&scope].secret.expose()))],
                403,
                "scope_missing",
            ),
        ];
        match expected {
            Pbx(_) => refused.push(("foreign PBX", foreign, 404, "not_found")),
            EveryPbx(_) => {
                refused.push(("foreign PBX", foreign, 403, "key_limited"));
                let limited = vec![("x-api-key", right[&scope].secret.expose().to_owned())];
                refused.push(("its own PBX alone", limited, 403, "key_limited"));
            }
            Filtered(_) | Public => {
                let reply = ask(&[("x-api-key", &foreign[0].1)]).await;
                assert!(
                    ![401, 403].contains(&reply.status.as_u16()),
                    "{method} {path}: {}",
                    reply.body
                );
                assert!(!reply.body.contains("main"), "{method} {path}: {}", reply.body);
            }
        }
        for (who, headers, status, code) in refused {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let reply = ask(&headers).await;
            assert_eq!(reply.status, status, "{method} {path}, {who}: {}", reply.body);
            // The answer to a HEAD has no body to look at.
            if method != "HEAD" {
                assert_refusal(&reply, &path, code);
            }
        }
        let own = if expected == EveryPbx(scope) { &all } else { &right };
        let key = own[&scope].secret.expose();
        for headers in [[("authorization", bearer(key))], [("x-api-key", key.to_owned())]] {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let reply = ask(&headers).await;
            assert!(
                ![401, 403].contains(&reply.status.as_u16()),
                "{method} {path}: {}",
                reply.body
            );
        }
    }
    assert!(
        simulator.asterisk().originates().is_empty(),
        "nothing was dialled"
    );
    app.stop().await;
}

#[actix_rt::test]
async fn a_signed_link_needs_no_key_and_a_forged_one_opens_nothing() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    let revoked = make(&app, "revoked", &["recordings:read"], None).await;
    revoke(&app, &revoked).await;
    let key = app.integrations.stores.keys.link_key().expect("a key for links");
    let id: RecordingId = "main.1".parse().expect("an id");
    let link = |id: &str, query: &str| format!("/v1/recordings/{id}/media?{query}");
    let good = LinkSignature::sign(&key, &id, None).to_string();
    let past = LinkSignature::sign(&key, &id, Some(1)).to_string();
    let revoked = [("x-api-key", revoked.secret.expose())];
    for method in [Method::GET, Method::HEAD] {
        for (path, headers, status) in [
            // There is no such recording: that is for the route to say.
            (link("main.1", &good), &[][..], 404),
            (link("main.2", &good), &[], 403),
            (link("main.1", &past), &[], 410),
            (link("main.1", "signature=1.AAAA"), &[], 403),
            (link("main.1", "signature="), &[], 403),
            (link("main.1", "expires=99999999999"), &[], 401),
            // A key that is sent must be good all the same.
            (link("main.1", &good), &revoked, 401),
        ] {
            let reply = app.send(method.clone(), &path, headers, "").await;
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        }
    }
    app.stop().await;
}

#[actix_rt::test]
async fn no_other_spelling_or_method_leads_past_the_door() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__HTTP__ALLOWED_ORIGINS", "https://crm.example".to_owned()));
    let app = TestApp::start(&variables).await;
    let key = make(&app, "crm", &["status:read"], None).await;
    // Whatever the router takes for the route, the door does too.
    for path in [
        "/status",
        "/st%61tus",
        "/%73tatus",
        "/status?x=1",
        "/pbx%2Dapi/last%2dcall-id",
        "/v1/k%65ys",
        "/v1/k%65ys?limit=1",
    ] {
        let reply = app.send(Method::GET, path, &[], "").await;
        assert_eq!(reply.status, 401, "{path}: {}", reply.body);
    }
    let reply = app.send(Method::GET, "/%761/keys", &[], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(header(&reply, "content-type"), Some("application/problem+json"));
    for path in [
        "/status/",
        "//status",
        "/./status",
        "/x/../status",
        "/STATUS",
        "/status%2f",
        "/status;a=b",
    ] {
        let reply = app.send(Method::GET, path, &[], "").await;
        assert!(
            [401, 404].contains(&reply.status.as_u16()),
            "{path}: {}",
            reply.body
        );
        let reply = app
            .send(Method::GET, path, &[("x-api-key", key.secret.expose())], "")
            .await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.body);
    }
    for method in ["HEAD", "OPTIONS", "PUT", "TRACE", "BREW"] {
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let reply = app.send(verb, "/status", &[], "").await;
        assert_eq!(reply.status, 405, "{method}: {}", reply.body);
    }
    // A browser asks first, and cannot send a key with that.
    let preflight = [
        ("origin", "https://crm.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-api-key"),
    ];
    let reply = app.send(Method::OPTIONS, "/status", &preflight, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    // And it may read why it was refused.
    let reply = app.send(Method::GET, "/status", &preflight[..1], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(
        header(&reply, "access-control-allow-origin"),
        Some("https://crm.example")
    );
    let overridden = [("x-http-method-override", "GET"), ("x-original-url", "/status")];
    let reply = app.send(Method::POST, "/livez", &overridden, "").await;
    assert_eq!(reply.status, 405);
    app.stop().await;
}
