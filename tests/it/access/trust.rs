//! Clients that are known by their address.

use awc::http::StatusCode;
use mege_gateway::recordings::{LinkSignature, RecordingId};

use super::{CDR, KEYS, get, make, revoke, status};
use crate::support::app::{TestApp, simulated, simulator};

/// Headers by which a proxy tells whom it speaks for, and by which anybody can lie.
const SPOOFED: [(&str, &str); 5] = [
    ("x-forwarded-for", "192.0.2.5"),
    ("forwarded", "for=192.0.2.5"),
    ("x-real-ip", "192.0.2.5"),
    ("true-client-ip", "192.0.2.5"),
    ("host", "192.0.2.5"),
];

async fn trusting(trust: &str, more: &[(&'static str, &str)]) -> TestApp {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__AUTH__TRUST", trust.to_owned()));
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    TestApp::start(&variables).await
}

#[actix_rt::test]
async fn a_trusted_address_acts_as_its_key_unless_it_sends_one() {
    // The longest prefix counts.
    let app = trusting("127.0.0.1/32=crm,127.0.0.0/8=nobody", &[]).await;
    let none = get(&app, CDR, &[]).await;
    assert_eq!(
        none.status,
        StatusCode::UNAUTHORIZED,
        "the key does not exist yet"
    );
    let crm = make(&app, "crm", &["cdr:read"], None).await;
    assert_eq!(get(&app, CDR, &[]).await.status, StatusCode::OK);
    assert_eq!(get(&app, KEYS, &[]).await.status, StatusCode::FORBIDDEN);
    // A key that is sent counts, the better and the worse.
    let admin = make(&app, "admin", &["admin"], None).await;
    assert_eq!(status(&app, KEYS, &admin).await, 200);
    assert_eq!(status(&app, CDR, &admin).await, 403);
    let malformed = get(&app, CDR, &[("x-api-key", "mege_x")]).await;
    assert_eq!(malformed.status, StatusCode::UNAUTHORIZED);
    revoke(&app, &crm).await;
    assert_eq!(get(&app, CDR, &[]).await.status, StatusCode::UNAUTHORIZED);
    app.stop().await;
}

#[actix_rt::test]
async fn an_address_whose_key_does_not_hold_opens_signed_links_as_any_other_does() {
    let app = trusting("127.0.0.1/32=crm", &[]).await;
    let link_key = app.integrations.stores.keys.link_key().expect("a key for links");
    let id: RecordingId = "main.1".parse().expect("an id");
    let signature = LinkSignature::sign(&link_key, &id, None);
    let path = format!("/v1/recordings/{id}/media");
    let link = format!("{path}?{signature}");
    // There is no such recording: that is for the route to say.
    assert_eq!(get(&app, &link, &[]).await.status, StatusCode::NOT_FOUND);
    let crm = make(&app, "crm", &["recordings:read"], None).await;
    assert_eq!(get(&app, &link, &[]).await.status, StatusCode::NOT_FOUND);
    revoke(&app, &crm).await;
    assert_eq!(get(&app, &link, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, &path, &[]).await.status, StatusCode::UNAUTHORIZED);
    app.stop().await;
}

#[actix_rt::test]
async fn no_header_makes_an_address() {
    let app = trusting("192.0.2.5=crm", &[]).await;
    make(&app, "crm", &["cdr:read"], None).await;
    assert_eq!(get(&app, CDR, &SPOOFED).await.status, StatusCode::UNAUTHORIZED);
    app.stop().await;
}

#[actix_rt::test]
async fn no_header_unmakes_an_address_and_ipv4_over_ipv6_is_ipv4() {
    let app = trusting("127.0.0.0/8=crm", &[("MEGE__HTTP__ADDRESS", "::")]).await;
    make(&app, "crm", &["cdr:read"], None).await;
    assert_eq!(get(&app, CDR, &SPOOFED).await.status, StatusCode::OK);
    app.stop().await;
}
