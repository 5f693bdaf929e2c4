//! The rows that calls leave in a 3CX.

mod day;
mod ids;
mod leg;
mod shapes;

pub use day::{Appearance, Row, simulated_days};
pub(super) use ids::Mint;
pub(super) use leg::{Flow, Origin, Party, recording};
pub(super) use shapes::{QueueCall, queue_call};
