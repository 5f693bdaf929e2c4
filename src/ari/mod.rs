//! Asterisk, through its REST interface and event socket.

mod actor;
mod calls;
mod client;
mod connection;
mod error;
mod event;
mod live_calls;
mod messages;
mod pace;
mod recollect;
mod socket;
mod tracker;
mod trunk;

pub use actor::{AriActor, AriHandle, AriSettings, spawn};
pub use client::probe;
pub use error::AriError;
pub use live_calls::{Full, LiveCalls};
pub use messages::{Hangup, Leave, Originate, Originated};
pub use trunk::{Nodes, Trunk};
