//! A client that takes all it can get, beside nine that do not.

use std::net::Ipv4Addr;
use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::app::{TestApp, client_at, simulated, simulator};

/// Polls that the greedy client has under way at once.
const AT_ONCE: usize = 100;

/// What each honest one asks, one after the other.
const POLLS: usize = 20;

/// Polls with an id that nobody ever handed out; what was answered.
async fn poll(client: &Client, root: &str) -> StatusCode {
    let poll = client.post(format!("{root}/pbx-api/cdr"));
    let poll = poll.send_json(&json!({"call_id": Uuid::new_v4()}));
    poll.await.expect("an answer").status()
}

#[actix_rt::test]
async fn ids_that_a_client_makes_up_keep_neither_the_honest_nor_the_collector_out() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.ready().await;
    let greedy: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let root = app.root.clone();
            actix_rt::spawn(async move {
                let client = client_at(Ipv4Addr::new(127, 0, 0, 200));
                loop {
                    poll(&client, &root).await;
                }
            })
        })
        .collect();
    let honest = (1..=9).map(|n| {
        let root = &app.root;
        async move {
            let client = client_at(Ipv4Addr::new(127, 0, 0, 100 + n));
            for _ in 0..POLLS {
                assert_eq!(poll(&client, root).await, StatusCode::OK);
                sleep(Duration::from_millis(50)).await;
            }
        }
    });
    join_all(honest).await;
    let refused = app
        .count("mege_shed_total", &[r#"actor="cdr""#, r#"class="read""#])
        .await;
    let failed = app.count("mege_cdr_looks_total", &[r#"outcome="error""#]).await;
    let polls = app.count("mege_cdr_looks_total", &[]).await;
    greedy.iter().for_each(|task| task.abort());
    assert!(refused > 0.0, "it was more than there are permits for");
    assert!(failed == 0.0 && polls > 0.0, "{failed} of {polls}");
}
