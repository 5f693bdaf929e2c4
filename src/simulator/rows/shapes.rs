//! The kinds of calls that a small call centre has.

use fastrand::Rng;
use jiff::Timestamp;

use super::ids::Mint;
use super::party::Party;
use super::story::{FinishedCall, Polled, Story};
use crate::simulator::firm::{Customer, Team};

/// What happens in a call. Times are in seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum Kind {
    /// A customer calls, comes to a queue, and `ends` says how it goes on.
    Queue {
        /// Whether an IVR asks what it is about, rather than a script that finds out by itself.
        ivr: bool,
        team: &'static Team,
        wait: u32,
        ends: QueueEnd,
    },
    /// A customer calls the front office, where all ring at once. Nobody answers in time: voicemail.
    Office {
        team: &'static Team,
        rings: u32,
        answered_by: Option<&'static str>,
        talk: u32,
    },
    /// A customer calls an extension's own number; who does not answer has voicemail.
    Direct {
        to: &'static str,
        rings: u32,
        answers: bool,
        talk: u32,
    },
    /// An extension calls a customer.
    Outbound { from: &'static str, ends: End },
    /// An extension calls a customer because a program asked for it.
    ClickToCall { from: &'static str, talk: u32 },
    /// An extension calls another.
    Internal {
        from: &'static str,
        to: &'static str,
        ends: End,
    },
}

/// How a call to a queue goes on.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum QueueEnd {
    /// The caller loses patience.
    Abandoned,
    /// Nobody answers: voicemail.
    Overflow {
        of: &'static str,
    },
    Answered {
        by: &'static str,
        talk: u32,
    },
    /// Who answered sends the caller on and hears no more of it.
    Blind {
        by: &'static str,
        talk: u32,
        to: &'static str,
        then: u32,
    },
    /// As `Blind`, to somebody who has all calls sent on to a ring group.
    Forwarded {
        by: &'static str,
        talk: u32,
        to: &'static str,
        team: &'static Team,
        answered_by: &'static str,
        then: u32,
    },
    /// Who answered asks a colleague first.
    Attended {
        by: &'static str,
        talk: u32,
        to: &'static str,
        then: u32,
    },
}

/// How a call to one party ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum End {
    Answered {
        talk: u32,
    },
    Busy,
    NoAnswer,
    /// No trunk takes it.
    Failed,
}

/// Tells the whole call.
pub(in crate::simulator) fn tell(
    rng: &mut Rng,
    mint: &Mint,
    start: Timestamp,
    customer: &Customer,
    kind: Kind,
) -> FinishedCall {
    let caller = Party::external_line(customer.number, true).named(customer.name);
    let inbound = |rng| Story::begin(rng, mint, start, caller, Party::inbound_routing());
    match kind {
        Kind::Queue {
            ivr,
            team,
            wait,
            ends,
        } => {
            let mut story = inbound(rng);
            reception(&mut story, ivr);
            enqueue(&mut story, team);
            after_queue(&mut story, team, wait, ends);
            story.over(None, customer.number)
        }
        Kind::Office {
            team,
            rings,
            answered_by,
            talk,
        } => {
            let mut story = inbound(rng);
            story.divert(Party::ring_group(team), "by_did");
            let how = answered_by.map_or(Polled::TimedOut, |by| member(team, by));
            story.poll(team.members.iter().copied(), rings, how);
            if answered_by.is_none() {
                leave_message(&mut story, team.members[0], talk);
            } else {
                story.wait(talk);
                story.end("dst_participant_terminated", None);
            }
            story.over(None, customer.number)
        }
        Kind::Direct {
            to,
            rings,
            answers,
            talk,
        } => {
            let mut story = inbound(rng);
            story.divert(Party::extension(to), "by_did");
            story.wait(rings);
            if answers {
                talk_with_caller(&mut story, talk);
            } else {
                leave_message(&mut story, to, talk);
            }
            story.over(None, customer.number)
        }
        Kind::Outbound { from, ends } => {
            let (own, rule) = (Party::extension(from), Party::service("outbound_rule", "10000"));
            let mut story = Story::begin(rng, mint, start, own, rule);
            outbound(&mut story, customer.number, ends);
            story.over(Some(from), customer.number)
        }
        Kind::ClickToCall { from, talk } => {
            let mut story = Story::begin(rng, mint, start, Party::make_call(), Party::extension(from));
            story.wait(4);
            story.answer();
            story.wait(1);
            story.transfer(Party::external_line(customer.number, false));
            story.wait(9);
            talk_with_caller(&mut story, talk);
            story.over(Some(from), customer.number)
        }
        Kind::Internal { from, to, ends } => {
            let mut story = Story::begin(rng, mint, start, Party::extension(from), Party::extension(to));
            story.wait(5);
            end_of_party(&mut story, ends);
            story.over(Some(from), from)
        }
    }
}

/// What answers first.
pub(super) fn reception(story: &mut Story<'_>, ivr: bool) {
    let (first, takes) = if ivr {
        (Party::service("ivr", "850"), 8)
    } else {
        (Party::service("script", "reception.Main"), 0)
    };
    story.divert(first, "by_did");
    story.pick_up();
    story.wait(takes);
}

pub(super) fn enqueue(story: &mut Story<'_>, team: &Team) {
    story.transfer(Party::queue(team));
    story.pick_up();
}

fn after_queue(story: &mut Story<'_>, team: &Team, wait: u32, ends: QueueEnd) {
    let members = team.members.iter().copied();
    let by = match ends {
        QueueEnd::Abandoned => {
            story.poll(members, wait, Polled::Abandoned);
            return story.end("src_participant_terminated", None);
        }
        QueueEnd::Overflow { of } => {
            story.poll(members, wait, Polled::TimedOut);
            return leave_message(story, of, 12);
        }
        QueueEnd::Answered { by, .. }
        | QueueEnd::Blind { by, .. }
        | QueueEnd::Forwarded { by, .. }
        | QueueEnd::Attended { by, .. } => by,
    };
    story.poll(members, wait, member(team, by));
    match ends {
        QueueEnd::Abandoned | QueueEnd::Overflow { .. } => {}
        QueueEnd::Answered { talk, .. } => {
            story.wait(talk);
            end_of_talk(story);
        }
        QueueEnd::Blind { talk, to, then, .. } => {
            story.wait(talk);
            story.transfer(Party::extension(to));
            story.wait(6);
            talk_with_caller(story, then);
        }
        QueueEnd::Forwarded {
            talk,
            to,
            team,
            answered_by,
            then,
            ..
        } => {
            story.wait(talk);
            story.transfer(Party::extension(to));
            story.divert(Party::ring_group(team), "forward_all");
            story.poll(team.members.iter().copied(), 7, member(team, answered_by));
            story.wait(then);
            end_of_talk(story);
        }
        QueueEnd::Attended { by, talk, to, then } => {
            story.wait(talk);
            story.consult(by, to, 5, 14);
            story.wait(then);
            end_of_talk(story);
        }
    }
}

fn outbound(story: &mut Story<'_>, number: &str, ends: End) {
    story.dial(number);
    if let End::Failed = ends {
        story.wait(0);
        story.end("rejected", Some("no_route"));
        return story.end_rule(false);
    }
    // The rule has done its part as soon as the trunk has the call.
    story.end_rule(true);
    story.wait(9);
    end_of_party(story, ends);
}

fn end_of_party(story: &mut Story<'_>, ends: End) {
    match ends {
        End::Answered { talk } => talk_with_caller(story, talk),
        End::Busy | End::Failed => story.end("rejected", Some("busy")),
        End::NoAnswer => {
            story.wait(20);
            story.end("cancelled", Some("terminated_by_originator"));
        }
    }
}

fn talk_with_caller(story: &mut Story<'_>, talk: u32) {
    story.answer();
    story.wait(talk);
    end_of_talk(story);
}

/// One of both hangs up.
fn end_of_talk(story: &mut Story<'_>) {
    if story.rng.bool() {
        story.end("src_participant_terminated", None);
    } else {
        story.end("dst_participant_terminated", None);
    }
}

fn leave_message(story: &mut Story<'_>, extension: &str, seconds: u32) {
    story.divert(Party::voicemail(extension), "no_answer");
    story.pick_up();
    story.wait(seconds);
    story.end("dst_participant_terminated", None);
}

/// The member who answers. One that is none has nobody answer.
fn member(team: &Team, extension: &str) -> Polled {
    let index = team.members.iter().position(|member| *member == extension);
    index.map_or(Polled::TimedOut, Polled::Answered)
}
