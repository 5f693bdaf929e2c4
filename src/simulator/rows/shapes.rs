//! Calls that a small call centre has.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::ids::Mint;
use super::leg::{Flow, Origin, Party, recording};
use crate::cdr::{Cdr, Recording};

/// Names as directories have them, with all that JSON, SQL and links stumble over.
const NAMES: [&str; 6] = [
    "Иванова Мария",
    "O'Neill \"Shaq\" <s@x>",
    "C:\\Отдел продаж\\1",
    "ООО «Ромашка»\t+7\r\n",
    "😀 日本語 %20 & Co",
    "",
];

/// A call that is over, with all that it left.
#[derive(Debug)]
pub(in crate::simulator) struct QueueCall {
    pub(in crate::simulator) legs: Vec<Cdr>,
    pub(in crate::simulator) recordings: Vec<Recording>,
}

impl QueueCall {
    /// When the last leg ended.
    pub(in crate::simulator) fn ended_at(&self) -> Timestamp {
        let ends = self.legs.iter().map(|leg| leg.cdr_ended_at);
        ends.max().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// A subscriber's number: +7 900 000 xx xx, a block that is no subscriber's in the simulated world.
pub(super) fn subscriber(rng: &mut Rng) -> String {
    format!("+7900000{:04}", rng.u32(0..10_000))
}

/// An inbound call: routing, a script, the queue that polls some extensions, and one that answers unless the caller
/// loses patience. `talk` is how long they then talk.
pub(in crate::simulator) fn queue_call(
    rng: &mut Rng,
    mint: &Mint,
    start: Timestamp,
    talk: SignedDuration,
) -> QueueCall {
    let caller = subscriber(rng);
    let name = NAMES[rng.usize(0..NAMES.len())];
    let mut flow = Flow::begin(mint, Party::external_line(&caller, true).named(name), start);

    let routing = flow.leg(
        mint,
        Party::service("inbound_routing", "+74950000100"),
        start,
        Origin::CallInit,
    );
    let routed = after(rng, start, 10_000..90_000);
    let script = flow.leg(
        mint,
        Party::service("script", "reception.Main"),
        routed,
        Origin::Diverted(routing),
    );
    flow.end(routing, None, routed, "redirected", Some("by_did"));
    flow.continued(routing, script);

    let picked_up = after(rng, routed, 10_000..90_000);
    // Neighbouring legs overlap: the next starts a little before this one ends.
    let queued = after(rng, picked_up, 300_000..900_000);
    let queue = flow.leg(
        mint,
        Party::service("queue", "900"),
        queued,
        Origin::Transferred(script),
    );
    let script_ended = after(rng, queued, 5_000..90_000);
    flow.end(
        script,
        Some(picked_up),
        script_ended,
        "continued_in",
        Some("none"),
    );
    flow.continued(script, queue);

    let polled: Vec<String> = (0..rng.usize(1..4))
        .map(|_| rng.u32(100..120).to_string())
        .collect();
    let answered = after(rng, queued, 2_000_000..25_000_000);
    let queue_answered = after(rng, queued, 5_000..20_000);
    let mut polls = Vec::with_capacity(polled.len());
    let mut at = queued;
    for extension in &polled {
        at = after(rng, at, 500..9_000);
        polls.push(flow.leg(mint, Party::extension(extension), at, Origin::Polled(queue)));
    }

    let abandoned = rng.u8(0..8) == 0;
    let winner = if abandoned {
        None
    } else {
        Some(rng.usize(0..polls.len()))
    };
    let mut recordings = Vec::new();
    for (index, (&poll, extension)) in polls.iter().zip(&polled).enumerate() {
        if Some(index) == winner {
            let ended = answered + talk;
            flow.end(poll, Some(answered), ended, "dst_participant_terminated", None);
            recordings.extend(recording(mint, &flow.legs[poll], extension, &caller));
        } else if rng.u8(0..4) == 0 {
            let refused = after(rng, at, 200_000..1_500_000);
            flow.end(poll, None, refused, "rejected", Some("busy"));
        } else {
            let details = if abandoned {
                "terminated_by_originator"
            } else {
                "completed_elsewhere"
            };
            let cancelled = after(rng, answered, 1_000..9_000);
            flow.end(poll, None, cancelled, "cancelled", Some(details));
        }
    }
    match winner {
        Some(winner) => {
            flow.end(
                queue,
                Some(queue_answered),
                answered,
                "continued_in",
                Some("polling"),
            );
            flow.continued(queue, polls[winner]);
        }
        None => flow.end(
            queue,
            Some(queue_answered),
            answered,
            "src_participant_terminated",
            None,
        ),
    }
    QueueCall {
        legs: flow.legs,
        recordings,
    }
}

/// A moment a random number of microseconds later.
fn after(rng: &mut Rng, at: Timestamp, micros: std::ops::Range<i64>) -> Timestamp {
    at + SignedDuration::from_micros(rng.i64(micros))
}
