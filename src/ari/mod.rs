//! Asterisk, through its REST interface and event socket.

mod error;
mod messages;

pub use error::AriError;
pub use messages::{Originate, Originated};
