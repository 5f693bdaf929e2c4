//! Pages in a browser whose address is enough, and whose name was led here after they were loaded.

use awc::http::Method;

use super::{CDR, make};
use crate::support::app::{TestApp, simulated, simulator};

const EVIL: (&str, &str) = ("host", "evil.example:3000");
const CALL: &str = r#"{"source_caller_id":79990000001,"caller_id":102}"#;

/// The statuses of an originate from a page of this host's and of a read by it.
async fn statuses(app: &TestApp, host: (&str, &str)) -> [u16; 2] {
    let origin = format!("http://{}", host.1);
    let json = ("content-type", "application/json");
    let headers = [host, json, ("origin", origin.as_str())];
    let call = app.send(Method::POST, "/pbx-api/make-call", &headers, CALL).await;
    let read = app.send(Method::GET, CDR, &[host], "").await;
    [call.status.as_u16(), read.status.as_u16()]
}

#[actix_rt::test]
async fn without_keys_no_page_calls_or_reads_by_a_name_that_was_led_here() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push((
        "MEGE__HTTP__PUBLIC_URL",
        "http://gateway.example:3000/".to_owned(),
    ));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    assert_eq!(statuses(&app, EVIL).await, [401, 401]);
    assert!(simulator.asterisk().originates().is_empty());
    for own in ["localhost:3000", "127.0.0.1", "gateway.example:3000"] {
        assert_eq!(statuses(&app, ("host", own)).await, [200, 200], "{own}");
    }
    // What needs no key anyway is nobody's secret.
    let live = app.send(Method::GET, "/livez", &[EVIL], "").await;
    assert_eq!(live.status, 200);
    app.stop().await;
}

#[actix_rt::test]
async fn at_a_trusted_address_no_page_calls_or_reads_by_such_a_name() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__AUTH__TRUST", "127.0.0.0/8=crm".to_owned()));
    variables.push((
        "MEGE__HTTP__PUBLIC_URL",
        "http://gateway.example:3000/".to_owned(),
    ));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    make(&app, "crm", &["calls:write", "cdr:read", "admin"], None).await;
    assert_eq!(statuses(&app, EVIL).await, [401, 401]);
    assert!(simulator.asterisk().originates().is_empty());
    for (method, path) in [
        (Method::GET, "/v1/keys"),
        (Method::HEAD, "/v1/recordings/main.1/media"),
        (Method::POST, "/v1/keys:rotate-links"),
        (Method::DELETE, "/v1/calls/01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21"),
    ] {
        let reply = app.send(method.clone(), path, &[EVIL], "").await;
        assert_eq!(reply.status, 401, "{method} {path}: {}", reply.body);
    }
    for own in ["localhost:3000", "127.0.0.1", "gateway.example:3000"] {
        assert_eq!(statuses(&app, ("host", own)).await, [200, 200], "{own}");
    }
    // On any port: the name is what others might own.
    let elsewhere = app
        .send(Method::GET, CDR, &[("host", "gateway.example")], "")
        .await;
    assert_eq!(elsewhere.status, 200);
    // A key that is sent is a page's own, and says enough.
    let key = make(&app, "sent", &["cdr:read"], None).await;
    let sent = [EVIL, ("x-api-key", key.secret.expose())];
    assert_eq!(app.send(Method::GET, CDR, &sent, "").await.status, 200);
    app.stop().await;
}
