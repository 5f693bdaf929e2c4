//! PAC: the gRPC service beside a 3CX.

mod error;
mod messages;
pub(crate) mod proto;
mod statement;

pub use error::PacError;
pub use messages::{ExecuteSql, MakeCall, Rows};
pub use statement::{Param, Statement};
