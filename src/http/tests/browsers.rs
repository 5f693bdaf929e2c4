//! What a browser is told with every answer: whose pages may read it, and what may be made of it.

use actix_web::http::Method;

use super::support::{Answer, TestApp};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Every kind of route, and none.
const ROUTES: [(Method, &str); 8] = [
    (Method::GET, "/livez"),
    (Method::GET, "/readyz"),
    (Method::GET, "/status"),
    (Method::GET, "/metrics"),
    (Method::GET, "/pbx-api/last-call-id"),
    (Method::POST, "/pbx-api/cdr"),
    (Method::POST, "/pbx-api/make-call"),
    (Method::GET, "/nowhere"),
];

async fn ask(app: &TestApp, method: &Method, path: &str, origin: &str) -> Answer {
    let headers = [JSON, ("origin", origin)];
    app.send(method.clone(), path, &headers, r#"{"call_id":"0"}"#)
        .await
}

#[actix_web::test]
async fn only_a_listed_origin_may_read_an_answer_and_never_with_credentials() {
    let variables = [(
        "MEGE__HTTP__ALLOWED_ORIGINS",
        "https://crm.example,https://b.example",
    )];
    let app = TestApp::start(&variables).await;
    let origin = "access-control-allow-origin";
    for (method, path) in ROUTES {
        for listed in ["https://crm.example", "https://b.example"] {
            let answer = ask(&app, &method, path, listed).await;
            assert_eq!(answer.header(origin), Some(listed), "{path}");
            let vary = answer.header("vary").unwrap_or_default().to_lowercase();
            assert!(vary.split(", ").any(|name| name == "origin"), "{path}: {vary}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
        }
        for foreign in [
            "https://evil.example",
            "http://crm.example",
            "https://crm.example:8443",
            "https://crm.example.evil.example",
            "null",
        ] {
            let answer = ask(&app, &method, path, foreign).await;
            assert_eq!(answer.header(origin), None, "{path}: {foreign}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
        }
    }
}

#[actix_web::test]
async fn no_answer_is_guessed_framed_or_named_to_others() {
    let app = TestApp::start(&[]).await;
    for (method, path) in ROUTES {
        let answer = ask(&app, &method, path, "https://evil.example").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
    }
}
