//! What a `LedgerActor` can be asked.

use crate::actor::{Class, Request};
use crate::call::{Call, CallId};
use crate::database::StoreError;

/// Request: a call as it is known now.
#[derive(Debug, Clone, Copy)]
pub struct GetCall(
    /// The call.
    pub CallId,
);

impl Request for GetCall {
    type Reply = Option<Call>;
    type Error = StoreError;
    const OPERATION: &'static str = "get_call";
    const CLASS: Class = Class::Read;
}

/// Request: the calls of this gateway through an integration that are not over, by whichever of its names it placed them: see
/// [`GetInstance`] and [`LedgerSettings::provisional_instance`](super::LedgerSettings::provisional_instance).
#[derive(Debug, Clone)]
pub struct ListOpenCalls {
    /// The integration.
    pub integration: String,
}

impl Request for ListOpenCalls {
    type Reply = Vec<Call>;
    type Error = StoreError;
    const OPERATION: &'static str = "list_open_calls";
    const CLASS: Class = Class::Read;
}

/// Request: which gateway is this? The id stays the same over restarts on one host and port.
#[derive(Debug, Clone, Copy)]
pub struct GetInstance;

impl Request for GetInstance {
    type Reply = String;
    type Error = StoreError;
    const OPERATION: &'static str = "get_instance";
    const CLASS: Class = Class::Read;
}

/// Request: answer once everything that was recorded is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flush;

impl Request for Flush {
    type Reply = ();
    type Error = StoreError;
    const OPERATION: &'static str = "flush";
    const CLASS: Class = Class::Write;
}
