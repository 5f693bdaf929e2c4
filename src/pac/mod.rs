//! PAC: the gRPC service beside a 3CX.
//!
//! [`spawn`] starts one actor for each 3CX, with one HTTP/2 connection that all its requests share. A read that
//! goes wrong happened to nobody, and is repeated as far as a budget allows; a command that goes wrong is either surely not
//! sent or of unknown outcome, and never tried again.

mod actor;
mod client;
mod error;
mod failure;
mod messages;
pub(crate) mod proto;
mod reachability;
mod retry;
mod rows;
mod statement;
#[cfg(test)]
mod tests;
mod token;

pub use actor::{PacActor, PacHandle, spawn};
pub use error::{InvalidPacAddress, PacError};
pub use messages::{ExecuteSql, MakeCall, Rows};
pub use statement::{Param, Statement};
