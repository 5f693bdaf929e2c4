use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use super::*;
use crate::call::tests::call;

fn settings(trunk: &str, max_live_calls: usize, trunk_limit: Option<usize>) -> AsteriskSettings {
    let settings = json!({
        "host": "127.0.0.1", "user": "mege", "password": "secret", "trunk": trunk, "context": "outgoing",
        "max_live_calls": max_live_calls, "trunk_limits": { "live_calls": trunk_limit },
    });
    serde_json::from_value(settings).unwrap()
}

/// The only Asterisk's calls.
fn alone(max_live_calls: usize) -> LiveCalls {
    Registry::default().register("asterisk.main", &settings("3cx", max_live_calls, None))
}

fn taken(calls: &LiveCalls) -> CallId {
    let call = call();
    calls.begin(call.clone().into()).unwrap();
    call.id
}

fn refused(calls: &LiveCalls) -> Full {
    calls.begin(call().into()).unwrap_err()
}

fn holds(calls: &LiveCalls, id: CallId) -> bool {
    calls.registry.lock()[calls.index].calls.contains_key(&id)
}

/// The call is over. It may be told again.
fn end(calls: &LiveCalls, id: CallId) {
    calls.record(Arc::new(Call {
        id,
        state: CallState::Ended,
        closed: true,
        revision: 2,
        ..call()
    }));
}

#[test]
fn a_call_has_a_slot_from_its_request_to_its_end() {
    let calls = alone(2);
    let (first, second) = (taken(&calls), taken(&calls));
    assert_eq!(refused(&calls), Full::Node);
    assert!(holds(&calls, first) && holds(&calls, second));
    end(&calls, first);
    end(&calls, first);
    assert!(!holds(&calls, first));
    assert_eq!(calls.len(), 1);
    taken(&calls);
    assert_eq!(refused(&calls), Full::Node);
}

#[test]
fn actors_of_one_node_share_it_and_those_of_one_trunk_share_that() {
    let node = Registry::default();
    let main = node.register("asterisk.main", &settings("3cx", 4, Some(2)));
    let branch = node.register("asterisk.branch", &settings("3cx", 4, Some(2)));
    let carrier = node.register("asterisk.carrier", &settings("carrier", 4, None));
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
    end(&branch, ours);
    assert!(holds(&main, ours) && !holds(&branch, ours));
    let later = Instant::now() + Duration::from_secs(3600);
    assert_eq!(main.retain(later, |_| false), 1);
    assert!(holds(&branch, theirs));
    // Another node has slots of its own.
    let elsewhere = AsteriskSettings {
        host: "elsewhere".to_owned(),
        ..settings("3cx", 1, None)
    };
    let elsewhere = node.register("asterisk.elsewhere", &elsewhere);
    taken(&elsewhere);
    assert_eq!(refused(&elsewhere), Full::Node);
    assert_eq!(serde_json::to_value(main.count()).unwrap()["node"], 3);
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
        let node = Registry::default();
        let main = node.register("main", &settings("3cx", 5, Some(3)));
        let branch = node.register("branch", &settings("3cx", 5, Some(3)));
        let carrier = node.register("carrier", &settings("carrier", 5, None));
        shown(0, 3, "main");
        shown(0, 5, "carrier");
        let id = taken(&main);
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
        branch.recover([call().into()]);
        shown(1, 1, "branch");
        end(&main, id);
        shown(1, 1, "main");
        branch.retain(Instant::now() + Duration::from_secs(3600), |_| false);
        shown(1, 2, "main");
        shown(3, 4, "carrier");
    });
}

#[test]
fn calls_that_live_already_count_be_there_room_or_not() {
    let calls = alone(1);
    assert!(!calls.has_recovered());
    let recovered = [call(), call()];
    for _ in 0..2 {
        calls.recover(recovered.iter().cloned().map(Arc::new));
    }
    assert!(calls.has_recovered());
    assert_eq!(calls.len(), 2);
    end(&calls, recovered[0].id);
    assert_eq!(refused(&calls), Full::Node);
    end(&calls, recovered[1].id);
    taken(&calls);
}

#[test]
fn a_look_at_asterisk_says_nothing_of_a_request_that_may_still_arrive() {
    let calls = alone(2);
    let (lost, found) = (taken(&calls), taken(&calls));
    let now = Instant::now();
    assert_eq!(calls.retain(now, |_| false), 0);
    // 5 s for the request, 30 s of ringing, and the margin.
    assert_eq!(calls.retain(now + Duration::from_secs(64), |_| false), 0);
    let later = now + Duration::from_secs(66);
    assert_eq!(calls.retain(later, |id| id == found), 1);
    assert!(holds(&calls, found) && !holds(&calls, lost));
}

#[test]
fn a_call_is_found_in_its_newest_state_until_it_is_over() {
    let registry = Registry::default();
    let (main, branch) = (
        registry.register("asterisk.main", &settings("3cx", 2, None)),
        registry.register("asterisk.branch", &settings("3cx", 2, None)),
    );
    let (ours, theirs) = (taken(&main), taken(&branch));
    let state = |id: CallId| registry.get(id).map(|call| call.state);
    assert_eq!(state(ours), Some(CallState::Sent));
    let as_of = |revision: u32, state: CallState| {
        main.record(Arc::new(Call {
            id: ours,
            revision,
            state,
            closed: state == CallState::Unknown,
            ..call()
        }));
    };
    as_of(3, CallState::Answered);
    // A thread that had hung comes back.
    as_of(2, CallState::Ringing);
    assert_eq!(state(ours), Some(CallState::Answered));
    assert_eq!(state(theirs), Some(CallState::Sent));
    // What stayed unknown may live all the same, and nothing more becomes known of it.
    as_of(4, CallState::Unknown);
    assert_eq!(state(ours), Some(CallState::Unknown));
    assert!(main.open().is_empty() && branch.open().len() == 1);
    end(&branch, theirs);
    assert_eq!(state(theirs), None);
    // A late state of what is over brings it back nowhere.
    branch.record(Arc::new(Call { id: theirs, ..call() }));
    assert_eq!(state(theirs), None);
}

#[test]
fn what_is_recorded_reaches_the_journal() {
    let journal = Journal::default();
    let calls = Registry::new(journal.clone()).register("asterisk.main", &settings("3cx", 2, None));
    let id = taken(&calls);
    assert_eq!(journal.get(id).unwrap().state, CallState::Sent);
    end(&calls, id);
    assert_eq!(journal.get(id).unwrap().state, CallState::Ended);
}
