use super::*;

const RING: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn channel(id: &str, state: ChannelState) -> Channel {
    Channel {
        id: id.to_owned(),
        name: format!("PJSIP/3cx-{id}"),
        state,
    }
}

fn tracker() -> CallTracker {
    CallTracker::new(RING)
}

fn begin(tracker: &mut CallTracker) -> (CallId, String) {
    let call = Call::new(CallId::mint(), "asterisk.main", at(0));
    let id = call.id;
    tracker.begin(call.into());
    (id, id.to_string())
}

fn accept(tracker: &mut CallTracker, id: CallId, first: &str) {
    let shown = Some(channel(first, ChannelState::Other));
    tracker.end_request(id, Outcome::Accepted(shown), at(0), Instant::now());
}

fn dial(caller: Option<&str>, peer: &str, dialstatus: DialStatus) -> Event {
    Event::Dial {
        caller: caller.map(|id| channel(id, ChannelState::Up)),
        peer: channel(peer, ChannelState::Other),
        dialstatus,
    }
}

fn destroyed(id: &str, cause: u16) -> Event {
    Event::ChannelDestroyed {
        cause: HangupCause(cause),
        channel: channel(id, ChannelState::Other),
    }
}

fn entered(id: &str, bridge: &[&str]) -> Event {
    Event::ChannelEnteredBridge {
        bridge: Bridge {
            channels: bridge.iter().map(|id| (*id).to_owned()).collect(),
        },
        channel: channel(id, ChannelState::Up),
    }
}

fn changed(id: &str, state: ChannelState) -> Event {
    Event::ChannelStateChange {
        channel: channel(id, state),
    }
}

/// Both legs up and in one bridge.
fn bridge(tracker: &mut CallTracker, first: &str) -> Option<Arc<Call>> {
    tracker.apply(&dial(None, first, DialStatus::Ringing), at(1), Instant::now());
    tracker.apply(&changed(first, ChannelState::Up), at(2), Instant::now());
    tracker.apply(
        &dial(Some(first), "second", DialStatus::Ringing),
        at(3),
        Instant::now(),
    );
    tracker.apply(
        &dial(Some(first), "second", DialStatus::Answer),
        at(4),
        Instant::now(),
    );
    tracker.apply(&entered("second", &["second"]), at(5), Instant::now());
    tracker.apply(&entered(first, &[first, "second"]), at(5), Instant::now())
}

#[actix_rt::test]
async fn a_call_goes_from_sent_to_ended_with_both_legs() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    accept(&mut tracker, id, &first);
    let call = bridge(&mut tracker, &first).unwrap();
    assert_eq!(call.state, CallState::Bridged);
    assert_eq!(
        (call.ringing_at, call.answered_at, call.bridged_at),
        (Some(at(1)), Some(at(2)), Some(at(5)))
    );
    assert_eq!(call.legs.len(), 2);
    assert_eq!(
        (call.legs[0].answered_at, call.legs[1].answered_at),
        (Some(at(2)), Some(at(4)))
    );
    assert_eq!(
        (call.legs[0].ringing_at, call.legs[1].ringing_at),
        (Some(at(1)), Some(at(3)))
    );

    let call = tracker
        .apply(&destroyed("second", 16), at(9), Instant::now())
        .unwrap();
    assert_eq!(call.state, CallState::Bridged, "one leg is left");
    let call = tracker
        .apply(&destroyed(&first, 16), at(9), Instant::now())
        .unwrap();
    assert_eq!(
        (call.state, call.closed, call.cause),
        (CallState::Ended, true, Some(HangupCause::NORMAL))
    );
    assert_eq!(tracker.len(), 0);
    assert!(tracker.channels.is_empty());
}

#[actix_rt::test]
async fn each_change_has_a_greater_revision_and_no_change_has_none() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    accept(&mut tracker, id, &first);
    let ringing = tracker
        .apply(&dial(None, &first, DialStatus::Ringing), at(1), Instant::now())
        .unwrap();
    // The same news by another event.
    assert!(
        tracker
            .apply(&changed(&first, ChannelState::Ringing), at(2), Instant::now())
            .is_none()
    );
    let up = tracker
        .apply(&changed(&first, ChannelState::Up), at(3), Instant::now())
        .unwrap();
    assert!(up.revision > ringing.revision);
    // A late event does not take a call back.
    assert!(
        tracker
            .apply(&changed(&first, ChannelState::Ringing), at(4), Instant::now())
            .is_none()
    );
}

#[actix_rt::test]
async fn a_busy_extension_ends_the_call_with_its_cause() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    accept(&mut tracker, id, &first);
    let call = tracker
        .apply(&destroyed(&first, 17), at(1), Instant::now())
        .unwrap();
    assert_eq!(
        (call.state, call.cause),
        (CallState::Ended, Some(HangupCause::BUSY))
    );
}

#[actix_rt::test]
async fn a_busy_number_gives_the_call_its_cause_not_the_extension_that_waited() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    accept(&mut tracker, id, &first);
    tracker.apply(&changed(&first, ChannelState::Up), at(1), Instant::now());
    tracker.apply(
        &dial(Some(&first), "second", DialStatus::Ringing),
        at(2),
        Instant::now(),
    );
    tracker.apply(&destroyed("second", 17), at(3), Instant::now());
    let call = tracker
        .apply(&destroyed(&first, 16), at(3), Instant::now())
        .unwrap();
    assert_eq!(
        (call.state, call.cause),
        (CallState::Ended, Some(HangupCause::BUSY))
    );
    assert_eq!(call.bridged_at, None);
}

#[actix_rt::test]
async fn other_calls_on_the_trunk_are_not_ours() {
    let mut tracker = tracker();
    begin(&mut tracker);
    for event in [
        changed("stranger", ChannelState::Up),
        dial(Some("stranger"), "peer", DialStatus::Answer),
        destroyed("stranger", 16),
        Event::Other,
    ] {
        assert!(tracker.apply(&event, at(1), Instant::now()).is_none());
    }
}

#[actix_rt::test]
async fn a_refused_call_is_rejected_and_one_that_never_left_failed() {
    let mut tracker = tracker();
    let outcomes = [
        (Outcome::Rejected("no".to_owned()), CallState::Rejected),
        (Outcome::NotSent("no".to_owned()), CallState::Failed),
    ];
    for (outcome, state) in outcomes {
        let (id, _) = begin(&mut tracker);
        let call = tracker.end_request(id, outcome, at(1), Instant::now()).unwrap();
        assert_eq!(
            (call.state, call.closed, call.ended_at),
            (state, true, Some(at(1)))
        );
    }
    assert_eq!(tracker.len(), 0);
}

#[actix_rt::test]
async fn an_unanswered_request_is_unknown_until_its_channel_shows_up() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    let call = tracker
        .end_request(id, Outcome::Unknown("lost".to_owned()), at(1), Instant::now())
        .unwrap();
    assert_eq!((call.state, call.closed), (CallState::Unknown, false));
    let shown = [channel(&first, ChannelState::Ringing)];
    let call = tracker.reconcile(&shown, &[], Instant::now(), at(2)).remove(0);
    assert_eq!((call.state, call.error.clone()), (CallState::Ringing, None));
}

#[actix_rt::test]
async fn what_cannot_be_found_out_stays_unknown() {
    let mut tracker = tracker();
    let (id, _) = begin(&mut tracker);
    tracker.end_request(id, Outcome::Unknown("lost".to_owned()), at(1), Instant::now());
    let later = Instant::now() + RING;
    assert!(
        tracker.reconcile(&[], &[], later, at(2)).is_empty(),
        "it may still come"
    );
    let call = tracker.reconcile(&[], &[], later, at(61)).remove(0);
    assert_eq!(
        (call.state, call.closed, call.ended_at),
        (CallState::Unknown, true, None)
    );
    assert_eq!(tracker.len(), 0);
}

#[actix_rt::test]
async fn an_event_before_the_answer_says_more_than_a_lost_answer() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    tracker.apply(&changed(&first, ChannelState::Ringing), at(1), Instant::now());
    assert!(
        tracker
            .end_request(id, Outcome::Unknown("lost".to_owned()), at(2), Instant::now())
            .is_none()
    );
    assert_eq!(tracker.len(), 1);
}

#[actix_rt::test]
async fn a_snapshot_says_nothing_of_a_request_that_is_under_way() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    assert!(tracker.reconcile(&[], &[], Instant::now(), at(100)).is_empty());
    let asked_at = Instant::now();
    accept(&mut tracker, id, &first);
    assert!(
        tracker.reconcile(&[], &[], asked_at, at(100)).is_empty(),
        "its channel is younger"
    );
    assert_eq!(tracker.reconcile(&[], &[], Instant::now(), at(100)).len(), 1);
}

#[actix_rt::test]
async fn calls_that_ended_while_nobody_listened_end_without_a_cause() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    accept(&mut tracker, id, &first);
    bridge(&mut tracker, &first);
    let call = tracker.reconcile(&[], &[], Instant::now(), at(50)).remove(0);
    assert_eq!(
        (call.state, call.closed, call.cause),
        (CallState::Ended, true, None)
    );
    assert!(call.legs.iter().all(|leg| leg.ended_at == Some(at(50))));
    assert_eq!(tracker.len(), 0);
}

#[actix_rt::test]
async fn a_call_of_an_earlier_life_is_found_again_by_its_bridge() {
    let mut before = tracker();
    let (id, first) = begin(&mut before);
    let sent = before.calls.remove(&id).unwrap().call;

    let mut tracker = tracker();
    tracker.adopt(vec![sent], Instant::now(), Instant::now());
    let channels = [
        channel(&first, ChannelState::Up),
        channel("second", ChannelState::Up),
    ];
    let bridges = [Bridge {
        channels: vec![first.clone(), "second".to_owned()],
    }];
    let call = tracker
        .reconcile(&channels, &bridges, Instant::now(), at(7))
        .remove(0);
    assert_eq!((call.state, call.legs.len()), (CallState::Bridged, 2));
    tracker
        .apply(&destroyed("second", 16), at(9), Instant::now())
        .unwrap();
    let call = tracker
        .apply(&destroyed(&first, 16), at(9), Instant::now())
        .unwrap();
    assert_eq!(call.state, CallState::Ended);
}

#[actix_rt::test]
async fn a_call_with_one_leg_left_is_asked_about_until_that_has_ended() {
    let mut tracker = tracker();
    let (id, first) = begin(&mut tracker);
    assert!(tracker.has_uncertain(), "nothing was shown");
    accept(&mut tracker, id, &first);
    bridge(&mut tracker, &first).unwrap();
    assert!(!tracker.has_uncertain());
    tracker
        .apply(&destroyed(&first, 16), at(6), Instant::now())
        .unwrap();
    // The end of the other was dropped, or its endpoint is none that the application is subscribed to.
    assert!(tracker.has_uncertain());
    let call = tracker
        .reconcile(&[], &[], Instant::now() + RING, at(7))
        .remove(0);
    assert_eq!(
        (call.state, call.cause),
        (CallState::Ended, Some(HangupCause(16)))
    );
    assert!(!tracker.has_uncertain());
}

#[actix_rt::test]
async fn without_a_connection_unknown_calls_are_closed_in_time() {
    let mut tracker = tracker();
    let (id, _) = begin(&mut tracker);
    assert!(
        tracker.expire(Instant::now() + RING, at(100)).is_empty(),
        "its request is under way"
    );
    tracker.end_request(id, Outcome::Unknown("lost".to_owned()), at(1), Instant::now());
    assert!(tracker.expire(Instant::now() + RING, at(59)).is_empty());
    let call = tracker.expire(Instant::now() + RING, at(61)).remove(0);
    assert_eq!((call.state, call.closed), (CallState::Unknown, true));
}

#[actix_rt::test]
async fn a_call_of_an_earlier_life_whose_channel_was_seen_is_closed_by_the_first_look() {
    let mut before = tracker();
    let (id, first) = begin(&mut before);
    accept(&mut before, id, &first);
    let seen = before.calls.remove(&id).unwrap().call;
    let (other, _) = begin(&mut before);
    let sent = before.calls.remove(&other).unwrap().call;

    let mut tracker = tracker();
    let now = Instant::now();
    tracker.adopt(vec![seen, sent], now, now + RING);
    let closed = tracker.reconcile(&[], &[], now + RING / 2, at(7));
    let closed: Vec<_> = closed.iter().map(|call| (call.id, call.state)).collect();
    assert_eq!(
        closed,
        [(id, CallState::Ended)],
        "the other's request may be under way"
    );
}

#[actix_rt::test]
async fn nothing_is_kept_of_calls_that_are_over_however_they_ended() {
    let mut tracker = tracker();
    for turn in 0..200 {
        let (id, first) = begin(&mut tracker);
        match turn % 5 {
            0 => {
                accept(&mut tracker, id, &first);
                bridge(&mut tracker, &first);
                tracker.apply(&destroyed("second", 16), at(9), Instant::now());
                tracker.apply(&destroyed(&first, 16), at(9), Instant::now());
            }
            1 => {
                accept(&mut tracker, id, &first);
                tracker.apply(&destroyed(&first, 17), at(2), Instant::now());
            }
            2 => {
                let refused = Outcome::Rejected("busy".to_owned());
                tracker.end_request(id, refused, at(1), Instant::now());
            }
            3 => {
                accept(&mut tracker, id, &first);
                bridge(&mut tracker, &first);
                tracker.reconcile(&[], &[], Instant::now() + RING, at(50));
            }
            _ => {
                let lost = Outcome::Unknown("lost".to_owned());
                tracker.end_request(id, lost, at(1), Instant::now());
                tracker.expire(Instant::now() + RING, at(100));
            }
        }
        assert_eq!((tracker.len(), tracker.channels.len()), (0, 0), "turn {turn}");
    }
}
