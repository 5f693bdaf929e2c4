//! Asterisk, through its REST interface and event socket.

mod actor;
mod calls;
mod client;
mod connection;
mod error;
mod event;
mod messages;
mod pacer;
mod recovery;
mod socket;
mod tracker;
mod trunk;

pub use actor::{AriActor, AriHandle, AriSettings, spawn};
pub use client::probe;
pub use error::{AriError, OriginateError};
pub use messages::{GetChannel, Hangup, Leave, Originate};
pub use trunk::{Pacers, Trunk, look_for_call};
