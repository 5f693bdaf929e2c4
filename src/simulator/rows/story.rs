//! How the legs of a call follow from each other, told step by step.

use std::ops::Range;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::flow::{Flow, Origin};
use super::ids::Mint;
use super::party::Party;
use super::recording::recording;
use crate::cdr::{Cdr, Recording};

/// By how much neighbouring legs overlap, in microseconds.
const OVERLAP: Range<i64> = 10_000..90_000;

/// A call that is over, with all that it left.
#[derive(Debug)]
pub(in crate::simulator) struct FinishedCall {
    /// The legs of all its flows.
    pub(in crate::simulator) legs: Vec<Cdr>,
    pub(in crate::simulator) recordings: Vec<Recording>,
}

impl FinishedCall {
    /// When its last leg ended.
    pub(in crate::simulator) fn ended_at(&self) -> Timestamp {
        let ends = self.legs.iter().map(|leg| leg.cdr_ended_at);
        ends.max().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// How the polling of several extensions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    /// This one answered.
    Answered(usize),
    /// The caller had hung up.
    Abandoned,
    /// It was given up.
    TimedOut,
}

/// A call in the telling. The caller is always at one leg, the latest that is not a failed attempt.
#[derive(Debug)]
pub(super) struct Story<'a> {
    pub(super) rng: &'a mut Rng,
    mint: &'a Mint,
    flow: Flow,
    /// How far it is told.
    now: Timestamp,
    /// The leg where the caller is.
    at: usize,
    /// Where the present routing began.
    base: Option<usize>,
    /// The leg from which the caller was handed to where they are.
    handed_over_by: Option<usize>,
    consultations: Vec<Cdr>,
    recordings: Vec<Recording>,
}

impl<'a> Story<'a> {
    /// Begins: `from` calls, and `to` rings.
    pub(super) fn begin(rng: &'a mut Rng, mint: &'a Mint, start: Timestamp, from: Party, to: Party) -> Self {
        let mut flow = Flow::begin(mint, from, start);
        let at = flow.leg(mint, to, start, Origin::CallInit);
        Self {
            rng,
            mint,
            flow,
            now: start,
            at,
            base: None,
            handed_over_by: None,
            consultations: Vec::new(),
            recordings: Vec::new(),
        }
    }

    /// Somebody rings, talks or waits for about so many seconds.
    pub(super) fn wait(&mut self, seconds: u32) {
        self.now += SignedDuration::from_secs(seconds.into());
        self.pass(0..900_000);
    }

    /// A person answers.
    pub(super) fn answer(&mut self) {
        self.flow.answer(self.at, self.now);
    }

    /// A script, an IVR, a queue or a voicemail answers: it does so in no time.
    pub(super) fn pick_up(&mut self) {
        let handed_over = self.handed_over_by.and_then(|leg| self.flow.legs.get(leg));
        self.now = match handed_over {
            // The neighbour ends as this one answers.
            Some(leg) if leg.cdr_ended_at > self.now => leg.cdr_ended_at,
            Some(_) | None => self.now + self.moment(OVERLAP),
        };
        self.answer();
    }

    /// Whoever the caller is at sends the call on, for a reason.
    pub(super) fn divert(&mut self, to: Party, reason: &'static str) {
        let by = self.at;
        self.pass(OVERLAP);
        let base = *self.base.get_or_insert(by);
        let origin = Origin::Diverted { base, by, reason };
        self.at = self.flow.leg(self.mint, to, self.now, origin);
        self.flow.end(by, self.now, "redirected", Some(reason));
        self.flow.continued(by, self.at);
        // Whoever handed the call over went on as what took it in the end, and is there until then.
        let answered = self
            .flow
            .legs
            .get(by)
            .is_some_and(|leg| leg.cdr_answered_at.is_some());
        if let Some(leg) = self.handed_over_by.filter(|_| !answered) {
            let ended = self.now + self.moment(OVERLAP);
            self.flow.end(leg, ended, "continued_in", Some("none"));
            self.flow.continued(leg, self.at);
        }
    }

    /// Whoever talks with the caller hands the call on.
    pub(super) fn transfer(&mut self, to: Party) {
        let leg = self
            .flow
            .leg(self.mint, to, self.now, Origin::Transferred(self.at));
        self.hand_over(leg);
    }

    fn hand_over(&mut self, to: usize) {
        let ended = self.now + self.moment(OVERLAP);
        self.flow.end(self.at, ended, "continued_in", Some("none"));
        self.flow.continued(self.at, to);
        self.base = Some(self.at);
        self.handed_over_by = Some(self.at);
        self.at = to;
    }

    /// Whoever talks with the caller calls a colleague meanwhile, and then brings both together. That call is a flow
    /// of its own, which belongs to this one.
    pub(super) fn consult(&mut self, asking: &str, asked: &str, rings: u32, talk: u32) {
        let mut aside = Flow::begin(self.mint, Party::extension(asking), self.now);
        aside.main_call_history_id = self.flow.call_history_id;
        let question = aside.leg(self.mint, Party::extension(asked), self.now, Origin::CallInit);
        self.wait(rings);
        aside.answer(question, self.now);
        self.wait(talk);
        let joined = Origin::Joined(self.at);
        let joined = self
            .flow
            .leg(self.mint, Party::extension(asked), self.now, joined);
        let ended = self.now + self.moment(OVERLAP);
        aside.end(question, ended, "continued_in", Some("none"));
        if let (Some(asked), Some(joined)) = (aside.legs.get_mut(question), self.flow.legs.get_mut(joined)) {
            asked.continued_in_cdr_id = Some(joined.cdr_id);
            joined.originating_cdr_id = Some(asked.cdr_id);
        }
        self.hand_over(joined);
        self.answer();
        let question = &aside.legs[question];
        self.recordings
            .extend(recording(self.mint, question, aside.number, asked, asking));
        self.consultations.append(&mut aside.legs);
    }

    /// The queue or ring group where the caller is calls its members, for about so many seconds. Who talks already,
    /// is busy.
    pub(super) fn poll<'e>(&mut self, members: impl IntoIterator<Item = &'e str>, seconds: u32, how: Polled) {
        let hunting = self.at;
        let mut polls = Vec::new();
        for extension in members {
            self.pass(500..9_000);
            let origin = Origin::Polled(hunting);
            polls.push(
                self.flow
                    .leg(self.mint, Party::extension(extension), self.now, origin),
            );
        }
        let began = self.now;
        self.wait(seconds);
        for (index, &poll) in polls.iter().enumerate() {
            if how == Polled::Answered(index) {
                self.at = poll;
                self.answer();
                self.flow.end(hunting, self.now, "continued_in", Some("polling"));
                self.flow.continued(hunting, poll);
                continue;
            }
            if seconds > 1 && self.rng.u8(0..4) == 0 {
                let refused = began + self.moment(200_000..1_500_000);
                self.flow.end(poll, refused, "rejected", Some("busy"));
                continue;
            }
            let details = match how {
                Polled::Answered(_) => "completed_elsewhere",
                Polled::Abandoned => "terminated_by_originator",
                Polled::TimedOut => "timeout",
            };
            let cancelled = self.now + self.moment(1_000..9_000);
            self.flow.end(poll, cancelled, "cancelled", Some(details));
        }
    }

    /// An outbound rule tries a trunk.
    pub(super) fn dial(&mut self, number: &str) {
        let rule = self.at;
        self.pass(OVERLAP);
        let to = Party::external_line(number, false);
        self.at = self.flow.leg(self.mint, to, self.now, Origin::Polled(rule));
        self.base = Some(rule);
    }

    /// The leg where the caller is ends.
    pub(super) fn end(&mut self, reason: &str, details: Option<&str>) {
        self.flow.end(self.at, self.now, reason, details);
    }

    /// The rule that tried the trunk ends: the trunk has the call, or none would take it.
    pub(super) fn end_rule(&mut self, dialled: bool) {
        let Some(rule) = self.base else { return };
        let (reason, details) = if dialled {
            self.flow.continued(rule, self.at);
            ("redirected", "polling")
        } else {
            ("dst_participant_terminated", "no_route")
        };
        self.flow.end(rule, self.now, reason, Some(details));
    }

    /// The call is over. What extensions said to `other` was recorded; `own` is the extension that called, where one
    /// did.
    pub(super) fn over(mut self, own: Option<&str>, other: &str) -> FinishedCall {
        for leg in &self.flow.legs {
            let extension = match leg.destination_entity_type.as_deref() {
                Some("extension") => leg.destination_dn_number.as_deref(),
                Some("external_line") => own,
                Some(_) | None => None,
            };
            let recording =
                extension.and_then(|extension| recording(self.mint, leg, self.flow.number, extension, other));
            self.recordings.extend(recording);
        }
        let mut legs = self.flow.legs;
        legs.append(&mut self.consultations);
        FinishedCall {
            legs,
            recordings: self.recordings,
        }
    }

    fn pass(&mut self, micros: Range<i64>) {
        let passed = self.moment(micros);
        self.now += passed;
    }

    fn moment(&mut self, micros: Range<i64>) -> SignedDuration {
        SignedDuration::from_micros(self.rng.i64(micros))
    }
}
