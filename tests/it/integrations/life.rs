//! Restarts that operators ask for: of what works, of what hangs, and of what has failed.

use std::time::Duration;

use awc::http::StatusCode;
use futures_util::join;
use mege_gateway::actor::{Class, Drill, State};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use serde_json::json;
use tokio::time::Instant;

use super::{audited, fail_for_good, get, order, shown, until};
use crate::faults::code;
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;

/// Nobody else was restarted.
async fn others_were_left_alone(app: &TestApp, name: &str) {
    let all = get(app, "/v1/integrations").await.json()["integrations"].take();
    for other in all.as_array().expect("a list") {
        if other["name"] != name {
            assert_eq!(
                (&other["restarts"], &other["state"]),
                (&json!(0), &json!("running")),
                "{other}"
            );
        }
    }
}

#[actix_rt::test]
async fn a_thread_that_blocks_is_said_on_status_and_replaced_by_the_route() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    app.integrations.asterisk["main"].drill(Drill::Block(Duration::from_secs(3_600)));
    eventually("said on /status", LIMIT, async || {
        let seen = app.status_of("asterisk.main").await;
        // Meanwhile the others answer.
        assert_eq!(app.get("/pbx-api/last-call-id").await.status, StatusCode::OK);
        (seen["state"] == "unresponsive").then_some(())
    })
    .await;
    assert_eq!(get(&app, "/status").await.json()["status"], "degraded");
    let refused = app.make_call(102, NUMBER).await;
    assert_eq!(
        (refused.status.as_u16(), code(&refused).as_str()),
        (503, "failed")
    );

    let restarted = order(&app, "asterisk.main", "restart").await;
    assert_eq!(restarted.status, StatusCode::OK, "{}", restarted.body);
    let restarted = restarted.json();
    assert_eq!(restarted["thread_left_behind"], true);
    app.connected().await;
    assert_eq!(app.make_call(102, NUMBER).await.status, StatusCode::OK);
    let shown = shown(&app, "asterisk.main").await;
    assert_eq!(
        (&shown["blocked_threads"], &shown["restarts"]),
        (&json!(1), &json!(1))
    );
    let actor = [r#"actor="asterisk.main""#];
    assert_eq!(app.count("mege_actor_blocked_threads", &actor).await, 1.0);
    assert_eq!(shown["latest_restarts"][0]["reason"], "operator");
    others_were_left_alone(&app, "asterisk.main").await;
    let entries = audited(&app, "integration_restarted", 1).await;
    assert_eq!(
        (entries.len(), &entries[0]["subject"]),
        (1, &json!("asterisk.main"))
    );
    app.stop().await;
}

#[actix_rt::test]
async fn one_that_failed_too_often_is_down_until_the_route_restarts_it() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let handle = &app.integrations.asterisk["main"];
    fail_for_good(handle).await;
    let refused = app.make_call(102, NUMBER).await;
    assert_eq!(
        (refused.status.as_u16(), code(&refused).as_str()),
        (503, "failed")
    );
    assert_eq!(refused.retry_after, Some(30));
    let before = shown(&app, "asterisk.main").await;
    assert_eq!(before["state"], "failed");
    assert!(before["last_error"].as_str().expect("words").contains("a drill"));
    let metrics = get(&app, "/metrics").await.body;
    assert!(
        metrics.contains(r#"mege_actor_state{actor="asterisk.main",state="failed"} 1"#),
        "{metrics}"
    );

    let restarted = order(&app, "asterisk.main", "restart").await;
    assert_eq!(restarted.status, StatusCode::OK, "{}", restarted.body);
    app.connected().await;
    assert_eq!(app.make_call(102, NUMBER).await.status, StatusCode::OK);
    let after = shown(&app, "asterisk.main").await;
    let reasons: Vec<_> = after["latest_restarts"]
        .as_array()
        .expect("restarts")
        .iter()
        .map(|one| &one["reason"])
        .collect();
    assert_eq!(reasons[0], "operator");
    assert!(
        reasons.len() > 1 && reasons[1..].iter().all(|reason| *reason == "panic"),
        "{reasons:?}"
    );
    others_were_left_alone(&app, "asterisk.main").await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_restart_gives_work_five_seconds_and_is_the_only_one_meanwhile() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    // More than the restart gives it.
    variables.push(("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "20000".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::Hang, HowOften::Next(1));
    let asterisk = &app.integrations.asterisk["main"];
    let restarts = async {
        eventually("it hangs", LIMIT, async || {
            (asterisk.in_flight(Class::Originate) == 1).then_some(())
        })
        .await;
        let asked = Instant::now();
        let first = order(&app, "asterisk.main", "restart");
        let rest = async {
            asterisk.health().reached(State::Restarting).await;
            // What comes meanwhile is refused at once, and nothing is placed.
            let refused = app.make_call(103, NUMBER).await;
            assert_eq!(
                (refused.status.as_u16(), code(&refused).as_str()),
                (503, "restarting")
            );
            assert_eq!(refused.retry_after, Some(1));
            let second = order(&app, "asterisk.main", "restart").await;
            assert_eq!(
                (second.status.as_u16(), &second.json()["code"]),
                (409, &json!("restart_under_way"))
            );
        };
        let (first, ()) = join!(first, rest);
        assert!(asked.elapsed() >= Duration::from_secs(5));
        let first = first.json();
        assert_eq!(
            (&first["unfinished"], &first["thread_left_behind"]),
            (&json!(1), &json!(false))
        );
    };
    let (placed, ()) = join!(app.make_call(102, NUMBER), restarts);
    assert_eq!(code(&placed), "originate_outcome_unknown", "{}", placed.body);
    app.connected().await;
    assert_eq!(
        simulator.asterisk().originates().len(),
        0,
        "it was taken and never carried out"
    );
    others_were_left_alone(&app, "asterisk.main").await;
    // What was refused is not there.
    assert_eq!(audited(&app, "integration_restarted", 1).await.len(), 1);
    until(&app, "asterisk.main", "nothing in flight", |shown| {
        shown["operations"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["in_flight"] == 0))
    })
    .await;
    app.stop().await;
}
