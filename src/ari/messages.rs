//! What an `AriActor` can be asked.

use super::error::AriError;
use crate::actor::{Class, Request};
use crate::call::CallId;
use crate::telephony::{Extension, PhoneNumber};

/// Request: ring an extension through the trunk and, once it answers, let the dialplan call the number.
///
/// At most one request is ever sent to Asterisk, whatever happens.
#[derive(Debug, Clone)]
pub struct Originate {
    /// The extension that rings first.
    pub extension: Extension,
    /// The external subscriber's number.
    pub number: PhoneNumber,
}

impl Request for Originate {
    type Reply = Originated;
    type Error = AriError;
    const OPERATION: &'static str = "originate";
    const CLASS: Class = Class::Originate;
}

/// Request: end a call, whether it rings or is talked on. It may be sent again.
#[derive(Debug, Clone, Copy)]
pub struct Hangup {
    /// The call.
    pub call_id: CallId,
}

impl Request for Hangup {
    type Reply = ();
    type Error = AriError;
    const OPERATION: &'static str = "hangup";
    const CLASS: Class = Class::Hangup;
}

/// Asterisk accepted an originate: the first party is being called. Busy or no answer come later, on the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Originated {
    /// The call, and the id of its first channel.
    pub call_id: CallId,
}

/// Request: close the event socket in order and open no other, because the gateway stops.
#[derive(Debug, Clone, Copy)]
pub struct Leave;

impl Request for Leave {
    type Reply = ();
    type Error = AriError;
    const OPERATION: &'static str = "leave";
    const CLASS: Class = Class::Write;
}
