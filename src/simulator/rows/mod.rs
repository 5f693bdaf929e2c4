//! The rows that calls leave in a 3CX.

mod chance;
mod day;
mod flow;
mod ids;
mod party;
mod recording;
mod shapes;
mod story;

pub(super) use chance::queue_call;
pub use day::{Appearance, Row, simulated_days};
pub(super) use flow::{Flow, Origin};
pub(super) use ids::Mint;
pub(super) use party::Party;
pub(super) use recording::recording;
pub(super) use shapes::{End, Kind, QueueEnd, tell};
pub(super) use story::FinishedCall;
