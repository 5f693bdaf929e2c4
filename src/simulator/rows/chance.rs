//! Calls as chance has them.

use fastrand::Rng;
use jiff::Timestamp;

use super::ids::Mint;
use super::party::Party;
use super::shapes::{enqueue, reception};
use super::story::{FinishedCall, Polled, Story};
use crate::simulator::firm::SUPPORT;

/// Names as directories have them, with all that JSON, SQL and links stumble over.
const NAMES: [&str; 6] = [
    "Иванова Мария",
    "O'Neill \"Shaq\" <s@x>",
    "C:\\Отдел продаж\\1",
    "ООО «Ромашка»\t+7\r\n",
    "😀 日本語 %20 & Co",
    "",
];

/// A subscriber's number: +7 900 000 xx xx, a block that is no subscriber's in the simulated world.
fn subscriber(rng: &mut Rng) -> String {
    format!("+7900000{:04}", rng.u32(0..10_000))
}

/// An inbound call: routing, a script, the queue that polls some extensions, and one that answers unless the caller
/// loses patience. They then talk for `talk` seconds.
pub(in crate::simulator) fn queue_call(
    rng: &mut Rng,
    mint: &Mint,
    start: Timestamp,
    talk: u32,
) -> FinishedCall {
    let number = subscriber(rng);
    let name = NAMES[rng.usize(0..NAMES.len())];
    let polled: Vec<String> = (0..rng.usize(1..4))
        .map(|_| rng.u32(100..120).to_string())
        .collect();
    let wait = rng.u32(2..25);
    let how = if rng.u8(0..8) == 0 {
        Polled::Abandoned
    } else {
        Polled::Answered(rng.usize(0..polled.len()))
    };
    let caller = Party::external_line(&number, true).named(name);
    let mut story = Story::begin(rng, mint, start, caller, Party::inbound_routing());
    reception(&mut story, false);
    enqueue(&mut story, &SUPPORT);
    story.poll(polled.iter().map(String::as_str), wait, how);
    if how == Polled::Abandoned {
        story.end("src_participant_terminated", None);
    } else {
        story.wait(talk);
        story.end("dst_participant_terminated", None);
    }
    story.over(None, &number)
}
