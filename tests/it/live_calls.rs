//! No more calls live at once than may, whatever becomes of them and of the actor that placed them.

use mege_gateway::actor::InjectedFault;
use mege_gateway::actor::{AskError, Operate as _};
use mege_gateway::ari::OriginateError;
use mege_gateway::call::{CallId, CallState, Full};
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ari::{BRIEF, connected, lasting, no_channels, patient};
use crate::support::app::{LIMIT, TestApp, simulated};
use crate::support::calls::{assert_refused, call_id, detail, originate, parse_id, until};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;
const ORIGINATE: &str = "POST /channels/{id}";
const MAX: &str = "MEGE__ASTERISK__MAIN__MAX_LIVE_CALLS";

/// A gateway on which so many calls may live.
async fn limited(simulator: &Simulator, max: usize) -> TestApp {
    let mut variables = simulated(simulator);
    variables.push((MAX, max.to_string()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    app
}

async fn placed(app: &TestApp, count: usize) -> Vec<CallId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(call_id(&app.make_call(102, NUMBER).await));
    }
    ids
}

async fn assert_full(app: &TestApp, simulator: &Simulator) {
    let asked = simulator.asterisk().requests()[ORIGINATE];
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 503, "too_many_calls", "not_placed", true);
    assert_eq!(reply.retry_after, Some(5));
    assert_eq!(
        simulator.asterisk().requests()[ORIGINATE],
        asked,
        "nothing was asked for"
    );
}

/// Waits until so many calls live, as `/status` has it.
async fn live(app: &TestApp, count: usize) -> Value {
    eventually(&format!("{count} calls live"), LIMIT, async || {
        let live = detail(app)["live_calls"].take();
        (live["node"] == count).then_some(live)
    })
    .await
}

#[actix_rt::test]
async fn a_node_that_is_full_refuses_at_once_until_a_call_ends() {
    let simulator = patient().await;
    let app = limited(&simulator, 3).await;
    let ids = placed(&app, 3).await;
    for _ in 0..5 {
        assert_full(&app, &simulator).await;
    }
    let shown = live(&app, 3).await;
    assert_eq!(shown, json!({ "node": 3, "node_limit": 3, "trunk": 3 }));
    let shed = app
        .metric(
            "mege_shed_total",
            &[r#"reason="live_calls""#, r#"class="originate""#],
        )
        .await;
    assert!(shed >= Some(5.0), "{shed:?}");
    let asterisk = [r#"actor="asterisk.main""#];
    for (name, value) in [
        ("mege_live_calls", 3.0),
        ("mege_live_calls_limit", 3.0),
        ("mege_ari_connects_total", 1.0),
        ("mege_ari_queue_frames", 0.0),
    ] {
        assert_eq!(app.metric(name, &asterisk).await, Some(value), "{name}");
    }
    app.hang_up(ids[0]).await;
    until(&app, ids[0], CallState::Ended).await;
    placed(&app, 1).await;
    assert_full(&app, &simulator).await;
}

#[actix_rt::test]
async fn a_trunk_has_a_limit_of_its_own() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__TRUNK_LIMITS__LIVE_CALLS", "2".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    placed(&app, 2).await;
    assert_full(&app, &simulator).await;
    let shown = live(&app, 2).await;
    assert_eq!(
        shown,
        json!({ "node": 2, "node_limit": 1000, "trunk": 2, "trunk_limit": 2 })
    );
}

#[actix_rt::test]
async fn a_call_whose_answer_was_lost_is_let_go_when_its_end_is_seen() {
    let simulator = patient().await;
    let app = limited(&simulator, 2).await;
    let asterisk = simulator.asterisk();
    for number in 0..4 {
        asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
        let reply = app.make_call(107, NUMBER).await;
        assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
        let id = asterisk.originates()[number].channel_id.clone();
        // Busy.
        until(&app, parse_id(&id.expect("an id of ours")), CallState::Ended).await;
    }
    placed(&app, 2).await;
    assert_full(&app, &simulator).await;
}

#[actix_rt::test]
async fn a_rebuilt_actor_finds_every_slot_taken_that_is_taken_and_lets_go_of_each() {
    let simulator = patient().await;
    let app = limited(&simulator, 4).await;
    let ids = placed(&app, 4).await;
    for id in &ids {
        until(&app, *id, CallState::Bridged).await;
    }
    let asterisk = &app.integrations.asterisk["main"];
    asterisk.inject(InjectedFault::Panic);
    eventually("rebuilt", LIMIT, async || {
        (asterisk.health().report().restarts == 1).then_some(())
    })
    .await;
    app.connected().await;
    assert_full(&app, &simulator).await;
    asterisk.restart().await.expect("a restart");
    app.connected().await;
    assert_full(&app, &simulator).await;
    for id in &ids {
        assert_eq!(app.hang_up(*id).await.status.as_u16(), 204);
        until(&app, *id, CallState::Ended).await;
    }
    live(&app, 0).await;
    placed(&app, 4).await;
}

#[actix_rt::test]
async fn a_gateway_that_comes_back_counts_the_calls_that_it_had_placed() {
    let simulator = patient().await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("kept.sqlite").display());
    let mut variables = simulated(&simulator);
    variables.push(("DATABASE_URL", store));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let ids = placed(&app, 3).await;
    until(&app, ids[2], CallState::Bridged).await;
    app.stop().await;

    // Less than live already.
    variables.push((MAX, "2".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    live(&app, 3).await;
    assert_full(&app, &simulator).await;
    for id in &ids[..2] {
        assert_eq!(app.hang_up(*id).await.status.as_u16(), 204);
        until(&app, *id, CallState::Ended).await;
    }
    placed(&app, 1).await;
    assert_full(&app, &simulator).await;
}

#[actix_rt::test]
async fn calls_that_ended_while_the_socket_was_down_are_let_go_when_it_is_back() {
    let simulator = lasting(BRIEF).await;
    let app = limited(&simulator, 3).await;
    placed(&app, 3).await;
    simulator.asterisk().stop_listening().await;
    no_channels(&simulator).await;
    simulator.asterisk().listen_again().expect("the same port");
    connected(&app, 2).await;
    live(&app, 0).await;
    placed(&app, 3).await;
}

#[actix_rt::test]
async fn sections_of_one_node_share_its_calls() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    let address = simulator.ari_address();
    variables.extend([
        (MAX, "3".to_owned()),
        ("MEGE__ASTERISK__BRANCH__MAX_LIVE_CALLS", "3".to_owned()),
        ("MEGE__ASTERISK__BRANCH__HOST", address.ip().to_string()),
        ("MEGE__ASTERISK__BRANCH__PORT", address.port().to_string()),
        ("MEGE__ASTERISK__BRANCH__USER", "simulator".to_owned()),
        ("MEGE__ASTERISK__BRANCH__PASSWORD", "simulator".to_owned()),
        ("MEGE__ASTERISK__BRANCH__APP_PREFIX", "branch".to_owned()),
        ("MEGE__ASTERISK__BRANCH__TRUNK", "3cx".to_owned()),
        ("MEGE__ASTERISK__BRANCH__CONTEXT", "outgoing".to_owned()),
    ]);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let branch = &app.integrations.asterisk["branch"];
    tokio::time::timeout(LIMIT, branch.health().became_usable())
        .await
        .expect("connected");
    let ask = async |id| {
        branch
            .ask(originate(id, 103, 79_990_000_002), Instant::now() + LIMIT)
            .await
    };
    placed(&app, 2).await;
    let other = CallId::mint();
    assert_eq!(ask(other).await, Ok(()));
    assert_full(&app, &simulator).await;
    let full = AskError::Reply(OriginateError::TooManyCalls(Full::Node));
    assert_eq!(ask(CallId::mint()).await, Err(full));
    // Whoever carries it, it is found.
    assert_eq!(app.hang_up(other).await.status.as_u16(), 204);
    until(&app, other, CallState::Ended).await;
    placed(&app, 1).await;
}

#[actix_rt::test]
async fn a_call_of_unknown_outcome_holds_its_slot_as_long_as_it_may_live() {
    let simulator = patient().await;
    let app = limited(&simulator, 1).await;
    let asterisk = simulator.asterisk();
    asterisk.freeze_event_sockets();
    asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
    let reply = app.make_call(102, NUMBER).await;
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    assert_full(&app, &simulator).await;
    let id = asterisk.originates()[0].channel_id.clone();
    let id = parse_id(&id.expect("an id of ours"));
    until(&app, id, CallState::Bridged).await;
    assert_full(&app, &simulator).await;
    assert_eq!(app.hang_up(id).await.status.as_u16(), 204);
    // No event tells of it: the next socket does.
    asterisk.cut_event_sockets();
    until(&app, id, CallState::Ended).await;
    placed(&app, 1).await;
}
