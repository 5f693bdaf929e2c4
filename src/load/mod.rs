//! Open-loop load: requests leave at their times whatever became of those before, and are measured from those times.
//!
//! A client that waits for an answer before it asks again slows down with the server, and misses just the waits that
//! matter ("coordinated omission"). Here request `n` is due `n / rate` after the start, and what could not be sent then
//! is counted.

mod generator;
mod outcome;
mod plan;
mod report;
mod tally;

pub use generator::generate;
pub use outcome::{Attempt, Outcome};
pub use plan::{Party, Plan};
pub use report::{Latency, OutcomeReport, Report};
pub use tally::Tally;
