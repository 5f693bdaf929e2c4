//! The morning is all that a call centre has, and as 3CX writes it down.

use std::collections::{BTreeSet, HashMap};

use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::cdr::Cdr;

fn start() -> Timestamp {
    "2026-02-10T06:00:00Z".parse().unwrap()
}

fn morning() -> Vec<FinishedCall> {
    calls(1, &Mint::default(), start())
}

fn legs(calls: &[FinishedCall]) -> Vec<&Cdr> {
    calls.iter().flat_map(|call| &call.legs).collect()
}

/// What a leg is: destination, method, forward reason, end and its details.
fn kind(leg: &Cdr) -> String {
    let words = [
        &leg.destination_entity_type,
        &leg.creation_method,
        &leg.creation_forward_reason,
        &leg.termination_reason,
        &leg.termination_reason_details,
    ];
    words.map(|word| word.as_deref().unwrap_or("-")).join(" ")
}

#[test]
fn there_are_legs_of_every_kind() {
    let calls = morning();
    let kinds: BTreeSet<String> = legs(&calls).into_iter().map(kind).collect();
    for expected in [
        "inbound_routing call_init none redirected by_did",
        "script divert by_did continued_in none",
        "ivr divert by_did continued_in none",
        "queue transfer none continued_in polling",
        "queue transfer none src_participant_terminated -",
        "queue transfer none redirected no_answer",
        "extension route_to polling cancelled completed_elsewhere",
        "extension route_to polling cancelled terminated_by_originator",
        "extension route_to polling cancelled timeout",
        "extension route_to polling rejected busy",
        "extension route_to polling continued_in none",
        "extension route_to polling dst_participant_terminated -",
        "extension route_to polling src_participant_terminated -",
        "extension transfer none redirected forward_all",
        "ring_group_ring_all divert forward_all continued_in polling",
        "ring_group_ring_all divert by_did continued_in polling",
        "ring_group_ring_all divert by_did redirected no_answer",
        "extension divert by_did redirected no_answer",
        "voicemail divert no_answer dst_participant_terminated -",
        "outbound_rule call_init none redirected polling",
        "outbound_rule call_init none dst_participant_terminated no_route",
        "external_line route_to polling dst_participant_terminated -",
        "external_line route_to polling rejected busy",
        "external_line route_to polling rejected no_route",
        "external_line route_to polling cancelled terminated_by_originator",
        "extension call_init none dst_participant_terminated -",
        "extension call_init none cancelled terminated_by_originator",
        "extension call_init none continued_in none",
    ] {
        assert!(kinds.contains(expected), "no {expected} in {kinds:#?}");
    }
    let joined = |leg: &&Cdr| leg.creation_method.as_deref() == Some("join");
    assert_eq!(legs(&calls).into_iter().filter(joined).count(), 3);
    let made = |leg: &&Cdr| leg.source_dn_number.as_deref() == Some("MakeCall");
    assert!(legs(&calls).into_iter().any(|leg| made(&leg)));
}

#[test]
fn every_relation_leads_to_a_leg_of_the_same_call() {
    for call in morning() {
        let by_id: HashMap<Uuid, &Cdr> = call.legs.iter().map(|leg| (leg.cdr_id, leg)).collect();
        let main = call.legs[0].call_history_id;
        for leg in &call.legs {
            assert_eq!(leg.main_call_history_id, Some(main));
            let before = [leg.base_cdr_id, leg.originating_cdr_id];
            for before in before.into_iter().flatten().map(|id| by_id[&id]) {
                assert!(before.cdr_started_at < leg.cdr_started_at);
            }
            let first = leg.creation_method.as_deref() == Some("call_init");
            assert_eq!(before.map(|id| id.is_none()), [first; 2]);
            let goes_on = matches!(
                leg.termination_reason.as_deref(),
                Some("continued_in" | "redirected")
            );
            assert_eq!(leg.continued_in_cdr_id.is_some(), goes_on);
            if let Some(next) = leg.continued_in_cdr_id {
                // Neighbours overlap, or the next begins as this one ends; a queue's polls begin with its wait.
                let next = by_id[&next];
                assert!(next.cdr_started_at <= leg.cdr_ended_at && next.cdr_ended_at > leg.cdr_ended_at);
                let overlap = leg.cdr_ended_at.duration_since(next.cdr_started_at);
                let overlap = overlap.as_micros();
                let polled = leg.termination_reason_details.as_deref() == Some("polling");
                assert!(polled || (0..90_000).contains(&overlap), "{overlap} µs");
            }
            assert!(
                leg.cdr_answered_at
                    .is_none_or(|at| at >= leg.cdr_started_at && at <= leg.cdr_ended_at)
            );
            assert!(leg.terminated_by_participant_id.is_some() != goes_on);
        }
    }
}

#[test]
fn it_takes_place_within_its_hours_and_one_call_lasts_most_of_them() {
    let calls = morning();
    let legs = legs(&calls);
    let end = start() + plan::SPAN;
    assert!(
        legs.iter()
            .all(|leg| leg.cdr_started_at >= start() && leg.cdr_ended_at < end)
    );
    let long = legs.iter().filter(|leg| {
        let lasts = leg.cdr_ended_at.duration_since(leg.cdr_started_at);
        lasts > SignedDuration::from_hours(3)
    });
    assert_eq!(long.count(), 1);
    let ids: BTreeSet<Uuid> = legs.iter().map(|leg| leg.cdr_id).collect();
    assert_eq!(ids.len(), legs.len());
}

#[test]
fn nobody_talks_in_two_calls_at_once() {
    let calls = morning();
    let mut talks = Vec::new();
    for leg in legs(&calls) {
        // Who asks a colleague has the caller on hold.
        let aside = leg.main_call_history_id != Some(leg.call_history_id);
        let sides = [
            (&leg.source_entity_type, &leg.source_dn_number, aside),
            (&leg.destination_entity_type, &leg.destination_dn_number, false),
        ];
        for (entity, extension, on_hold) in sides {
            if entity.as_deref() == Some("extension") && !on_hold {
                talks.extend(
                    leg.cdr_answered_at
                        .map(|from| (extension, from, leg.cdr_ended_at)),
                );
            }
        }
    }
    talks.sort();
    for pair in talks.windows(2) {
        let [(one, _, until), (other, from, _)] = pair else {
            unreachable!("pairs")
        };
        // Neighbouring legs overlap a little.
        let until = *until - SignedDuration::from_millis(90);
        assert!(
            one != other || until <= *from,
            "{one:?} until {until} and from {from}"
        );
    }
}

#[test]
fn the_recordings_are_of_the_legs_that_people_answered() {
    let calls = morning();
    let recordings: Vec<_> = calls.iter().flat_map(|call| &call.recordings).collect();
    assert!(recordings.len() > 40, "{}", recordings.len());
    let urls: BTreeSet<_> = recordings
        .iter()
        .map(|recording| &recording.recording_url)
        .collect();
    assert_eq!(urls.len(), recordings.len(), "each has a file of its own");
    let answered: HashMap<Uuid, &Cdr> = legs(&calls)
        .into_iter()
        .filter(|leg| leg.cdr_answered_at.is_some())
        .map(|leg| (leg.cdr_id, leg))
        .collect();
    for recording in recordings {
        let leg = answered[&recording.cdr_id];
        assert_eq!(recording.start_time, leg.cdr_answered_at);
        assert_eq!(recording.end_time, Some(leg.cdr_ended_at));
    }
}
