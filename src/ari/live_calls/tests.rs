use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use super::*;

fn settings(trunk: &str, max_live_calls: usize, trunk_limit: Option<usize>) -> AsteriskSettings {
    let settings = json!({
        "host": "127.0.0.1", "user": "mege", "password": "secret", "trunk": trunk, "context": "outgoing",
        "max_live_calls": max_live_calls, "trunk_limits": { "live_calls": trunk_limit },
    });
    serde_json::from_value(settings).unwrap()
}

fn taken(calls: &LiveCalls) -> CallId {
    let id = CallId::mint();
    calls.take(id).unwrap();
    id
}

fn refused(calls: &LiveCalls) -> Full {
    calls.take(CallId::mint()).unwrap_err()
}

#[test]
fn a_call_has_a_slot_from_its_request_to_its_end() {
    let calls = NodeCalls::default().join("asterisk.main", &settings("3cx", 2, None));
    let (first, second) = (taken(&calls), taken(&calls));
    assert_eq!(refused(&calls), Full::Node);
    assert!(calls.holds(first) && calls.holds(second));
    calls.release(first);
    calls.release(first);
    assert!(!calls.holds(first));
    assert_eq!(calls.own(), 1);
    taken(&calls);
    assert_eq!(refused(&calls), Full::Node);
}

#[test]
fn actors_of_one_node_share_it_and_those_of_one_trunk_share_that() {
    let node = NodeCalls::default();
    let main = node.join("asterisk.main", &settings("3cx", 4, Some(2)));
    let branch = node.join("asterisk.branch", &settings("3cx", 4, Some(2)));
    let carrier = node.join("asterisk.carrier", &settings("carrier", 4, None));
    let (ours, theirs) = (taken(&main), taken(&branch));
    assert_eq!((refused(&main), refused(&branch)), (Full::Trunk, Full::Trunk));
    taken(&carrier);
    taken(&carrier);
    for calls in [&main, &branch, &carrier] {
        assert_eq!(refused(calls), Full::Node);
    }
    let shown = serde_json::to_value(main.count()).unwrap();
    assert_eq!(
        shown,
        json!({ "node": 4, "node_limit": 4, "trunk": 2, "trunk_limit": 2 })
    );
    // Each lets go of its own only.
    branch.release(ours);
    assert!(main.holds(ours) && !branch.holds(ours));
    let later = Instant::now() + Duration::from_secs(3600);
    assert_eq!(main.keep(later, |_| false), 1);
    assert!(branch.holds(theirs));
    // Another node has slots of its own.
    let elsewhere = NodeCalls::default().join("asterisk.elsewhere", &settings("3cx", 1, None));
    taken(&elsewhere);
}

#[test]
fn the_limit_that_is_shown_is_what_the_others_leave() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = |calls: usize, limit: usize, actor: &str| {
        let rendered = recorder.handle().render();
        for (name, value) in [("mege_live_calls", calls), ("mege_live_calls_limit", limit)] {
            let line = format!("{name}{{actor=\"{actor}\"}} {value}\n");
            assert!(rendered.contains(&line), "{line}{rendered}");
        }
    };
    metrics::with_local_recorder(&recorder, || {
        let node = NodeCalls::default();
        let main = node.join("main", &settings("3cx", 5, Some(3)));
        let branch = node.join("branch", &settings("3cx", 5, Some(3)));
        let carrier = node.join("carrier", &settings("carrier", 5, None));
        shown(0, 3, "main");
        shown(0, 5, "carrier");
        let call = taken(&main);
        taken(&main);
        shown(2, 3, "main");
        shown(0, 1, "branch");
        shown(0, 3, "carrier");
        for _ in 0..3 {
            taken(&carrier);
        }
        // The node is full.
        shown(2, 2, "main");
        shown(0, 0, "branch");
        shown(3, 3, "carrier");
        branch.adopt(CallId::mint());
        shown(1, 1, "branch");
        main.release(call);
        shown(1, 1, "main");
        branch.keep(Instant::now() + Duration::from_secs(3600), |_| false);
        shown(1, 2, "main");
        shown(3, 4, "carrier");
    });
}

#[test]
fn calls_that_live_already_count_be_there_room_or_not() {
    let calls = NodeCalls::default().join("asterisk.main", &settings("3cx", 1, None));
    let adopted = [CallId::mint(), CallId::mint()];
    for id in adopted {
        calls.adopt(id);
        calls.adopt(id);
    }
    assert_eq!(calls.own(), 2);
    calls.release(adopted[0]);
    assert_eq!(refused(&calls), Full::Node);
    calls.release(adopted[1]);
    taken(&calls);
}

#[test]
fn a_look_at_asterisk_says_nothing_of_a_request_that_may_still_arrive() {
    let calls = NodeCalls::default().join("asterisk.main", &settings("3cx", 2, None));
    let (lost, found) = (taken(&calls), taken(&calls));
    let now = Instant::now();
    assert_eq!(calls.keep(now, |_| false), 0);
    // 5 s for the request, 30 s of ringing, and the margin.
    assert_eq!(calls.keep(now + Duration::from_secs(64), |_| false), 0);
    let later = now + Duration::from_secs(66);
    assert_eq!(calls.keep(later, |id| id == found), 1);
    assert!(calls.holds(found) && !calls.holds(lost));
}
