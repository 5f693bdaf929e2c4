//! What a `LedgerActor` can be asked.

use super::call::{Call, CallId};
use super::error::LedgerError;
use crate::actor::Request;

/// Request: a call as it is known now.
#[derive(Debug, Clone, Copy)]
pub struct GetCall(
    /// The call.
    pub CallId,
);

impl Request for GetCall {
    type Reply = Option<Call>;
    type Error = LedgerError;
    const OPERATION: &'static str = "get_call";
}

/// Request: the calls of an integration that are not over.
#[derive(Debug, Clone)]
pub struct ListOpenCalls {
    /// The integration.
    pub integration: String,
}

impl Request for ListOpenCalls {
    type Reply = Vec<Call>;
    type Error = LedgerError;
    const OPERATION: &'static str = "list_open_calls";
}
