//! Asterisk, through its REST interface and event socket.

mod actor;
mod client;
mod connection;
mod error;
mod event;
mod messages;
mod recollect;
mod socket;
mod tracker;

pub use actor::{AriActor, AriHandle, AriSettings, spawn};
pub use client::probe;
pub use error::AriError;
pub use messages::{Leave, Originate, Originated};
