//! What a `LedgerActor` can be asked.

use crate::actor::requests;
use crate::call::{Call, CallId};
use crate::database::StoreError;

requests! {
    GetCall: Read "get_call" -> Option<Call>, StoreError;
    ListOpenCalls: Read "list_open_calls" -> Vec<Call>, StoreError;
    GetInstance: Read "get_instance" -> String, StoreError;
    Flush: Write "flush" -> (), StoreError;
}

/// Request: a call as it is known now.
#[derive(Debug, Clone, Copy)]
pub struct GetCall(
    /// The call.
    pub CallId,
);

/// Request: the calls of this gateway through an integration that are not over, by whichever of its names it placed them: see
/// [`GetInstance`] and [`LedgerSettings::provisional_instance`](super::LedgerSettings::provisional_instance).
#[derive(Debug, Clone)]
pub struct ListOpenCalls {
    /// The integration.
    pub integration: String,
}

/// Request: which gateway is this? The id stays the same over restarts on one host and port.
#[derive(Debug, Clone, Copy)]
pub struct GetInstance;

/// Request: answer once everything that was recorded is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flush;
