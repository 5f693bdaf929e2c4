//! What an `AriActor` can be asked.

use super::error::{AriError, OriginateError};
use crate::actor::requests;
use crate::call::{Call, CallId, RequestedBy};
use crate::telephony::{Extension, PhoneNumber};

requests! {
    Originate: Originate "originate" -> (), OriginateError;
    Hangup: Hangup "hangup" -> bool, AriError;
    GetChannel: Hangup "get_channel" -> Option<Call>, AriError;
    Leave: Write "leave" -> (), AriError;
}

/// Request: ring an extension through the trunk and, once it answers, let the dialplan call the number. A success means that
/// Asterisk accepted it: the first party is being called. Busy or no answer come later, on the call.
///
/// At most one request is ever sent to Asterisk, whatever happens.
#[derive(Debug, Clone)]
pub struct Originate {
    /// A new id: whoever asks can look for the call by it, whatever becomes of the answer.
    pub call_id: CallId,
    /// The extension that rings first.
    pub extension: Extension,
    /// The external subscriber's number.
    pub number: PhoneNumber,
    /// Who asks for it.
    pub requested_by: RequestedBy,
}

/// Request: end a channel, whether it rings or is talked on, and so the call that it is part of: was there such a channel? It
/// may be sent again.
#[derive(Debug, Clone)]
pub struct Hangup {
    /// The channel's id.
    pub channel: String,
}

/// Request: the call of this id, if Asterisk has a channel of it on our trunk. It is asked for a call of which no record can
/// be had, and as such a call has to be found before it can be ended, it is of the class of hang-ups: it waits for no
/// originate, and a pause lets it through.
#[derive(Debug, Clone, Copy)]
pub struct GetChannel {
    /// The call, which is its first channel's id.
    pub call_id: CallId,
}

/// Request: close the event socket in order and open no other, because the gateway stops.
#[derive(Debug, Clone, Copy)]
pub struct Leave;
