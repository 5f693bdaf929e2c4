//! How often a caller may ask.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{CDR, KEYS, get, header, make, status};
use crate::support::app::{Reply, TestApp, simulated, simulator};

async fn limited(key: &'static str, per_s: &str) -> TestApp {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push((key, per_s.to_owned()));
    TestApp::start(&variables).await
}

/// Asks thirty times at once. How many requests were let through, and the first refusal.
async fn burst(ask: impl AsyncFn() -> Reply) -> (usize, Reply) {
    let replies = join_all((0..30).map(|_| ask())).await;
    let (refused, passed): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 429);
    let first = refused.into_iter().next();
    (passed.len(), first.expect("a refusal"))
}

fn assert_headers(reply: &Reply, limit: &str) {
    for (name, value) in [
        ("retry-after", "1"),
        ("ratelimit-limit", limit),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", "1"),
    ] {
        assert_eq!(header(reply, name), Some(value), "{name}: {:?}", reply.headers);
    }
}

#[actix_rt::test]
async fn a_key_that_asks_too_often_is_held_and_no_other() {
    let app = limited("MEGE__AUTH__RATE__PER_KEY_PER_S", "3").await;
    let crm = make(&app, "crm", &["cdr:read"], None).await;
    let other = make(&app, "other", &["cdr:read"], None).await;
    let key = [("x-api-key", crm.secret.expose())];
    // What is refused for another reason is not counted.
    for _ in 0..10 {
        assert_eq!(status(&app, KEYS, &crm).await, 403);
    }
    let (passed, refused) = burst(async || get(&app, CDR, &key).await).await;
    assert!(passed >= 3, "{passed}");
    assert_headers(&refused, "3");
    let body = refused.json();
    assert_eq!(body["error"]["code"], "rate_limited");
    assert_eq!(
        (&body["status"], &body["error"]["retryable"]),
        (&429.into(), &true.into())
    );
    assert_eq!(status(&app, CDR, &other).await, 200);
    app.stop().await;
}

#[actix_rt::test]
async fn an_address_that_asks_too_often_is_held_before_it_is_asked_who_it_is() {
    let app = limited("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "5").await;
    let admin = make(&app, "admin", &["admin"], None).await;
    let begun = Instant::now();
    let (first, refused) = burst(async || get(&app, "/docs/errors", &[]).await).await;
    assert!(first >= 5, "{first}");
    assert_headers(&refused, "5");
    let key = [("x-api-key", admin.secret.expose())];
    let (second, refused) = burst(async || get(&app, KEYS, &key).await).await;
    assert_headers(&refused, "5");
    assert_eq!(header(&refused, "content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["code"], "rate_limited");
    let spoofed = [("x-forwarded-for", "192.0.2.99"), key[0]];
    let (third, _) = burst(async || get(&app, KEYS, &spoofed).await).await;
    let most = 5.0 * (1.0 + begun.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a few requests")]
    let passed = (first + second + third) as f64;
    assert!(
        passed <= most,
        "{passed} of {most}: another address would have five more"
    );
    app.stop().await;
}

#[actix_rt::test]
async fn whether_the_gateway_is_well_may_be_asked_as_often_as_a_balancer_likes() {
    let app = limited("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "5").await;
    app.ready().await;
    for path in ["/readyz", "/livez"] {
        for _ in 0..100 {
            assert_eq!(get(&app, path, &[]).await.status, 200, "{path}");
        }
    }
    // The others are held as before.
    let (_, refused) = burst(async || get(&app, CDR, &[]).await).await;
    assert_eq!(refused.status.as_u16(), 429);
    app.stop().await;
}
