//! What a `PacActor` can be asked.

use super::error::PacError;
use super::statement::Statement;
use crate::actor::requests;
use crate::telephony::{Extension, PhoneNumber};

requests! {
    ExecuteSql: Read "execute_sql" -> Rows, PacError;
    MakeCall: Originate "make_call" -> (), PacError;
}

/// The rows of a result, each a list of strings; PAC gives NULL as `""`.
pub type Rows = Vec<Vec<String>>;

/// Request: run one fixed statement on the 3CX database, read-only.
#[derive(Debug, Clone)]
pub struct ExecuteSql {
    /// The statement.
    pub statement: Statement,
}

/// Request: have 3CX ring an extension and connect it to a number. PAC only says that it took the command.
#[derive(Debug, Clone)]
pub struct MakeCall {
    /// The extension that rings first.
    pub from: Extension,
    /// The number it is connected to.
    pub to: PhoneNumber,
}
