//! What is logged, and what never is. The only test that sets up this process's logs.

use actix_web::http::Method;

use super::support::{TestApp, settings};
use crate::recordings::LinkSignature;
use crate::telemetry;
use crate::telemetry::testing::Lines;

#[actix_web::test]
async fn logs_name_requests_by_id_and_route_and_hold_nothing_that_was_sent() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets up logs");
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        telemetry::init(&settings(&folder, &[]).log).expect("setting up twice is no error");
    }

    let app = TestApp::start(&[]).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "crm-42"),
        ("x-secret", "s3cr3t"),
    ];
    for body in [
        r#"{"source_caller_id":79102223311,"caller_id":102}"#,
        r#"{"source_caller_id":"79102223311"}"#,
        "79102223311{",
    ] {
        app.send(
            Method::POST,
            "/pbx-api/make-call?number=79102223311",
            &headers,
            body,
        )
        .await;
    }
    app.get("/79102223311").await;
    let own = |text: &str| {
        text.lines()
            .filter(|line| line.contains("mege_gateway") || line.contains("tracing_actix_web"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let text = own(&lines.text());
    assert!(
        text.contains("crm-42") && text.contains(r#""route":"/pbx-api/make-call""#),
        "{text}"
    );
    assert!(text.contains(r#""code":"not_configured""#), "{text}");
    assert!(
        text.contains(r#""code":"invalid_request""#) || text.contains(r#""code":"not_found""#),
        "{text}"
    );
    assert!(
        !text.contains("79102223311") && !text.contains("s3cr3t"),
        "{text}"
    );

    // Whoever has a link and no key is nobody that was refused.
    let nobody = [("MEGE__AUTH__TRUST", "192.0.2.5=crm")];
    let app = TestApp::start(&nobody).await;
    let key = app.integrations.stores.keys.link_key().unwrap();
    let link = LinkSignature::sign(&key, &"main.789".parse().unwrap(), None);
    app.get(&format!("/v1/recordings/main.789/media?{link}")).await;
    let text = own(&lines.text());
    assert!(
        text.contains(r#""code":"not_found""#) && !text.contains("unauthenticated"),
        "{text}"
    );

    let panicked = std::thread::Builder::new()
        .name("panics".to_owned())
        .spawn(|| panic!("a fault"))
        .unwrap()
        .join();
    assert!(panicked.is_err());
    let text = lines.text();
    let line = text
        .lines()
        .find(|line| line.contains("a fault"))
        .expect("the panic was logged");
    assert!(
        line.contains(r#""thread":"panics""#) && line.contains("logs.rs"),
        "{line}"
    );
}
