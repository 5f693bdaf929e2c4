//! A call as callers see it: in replies, and wherever else it is told of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::record::{Call, Leg, RequestedBy};
use super::words::{CallState, Direction, Disposition, LegRole, LegState, Mode, Origin};
use crate::telephony::HangupCause;

/// A call.
#[derive(derive_more::Debug, Serialize, ToSchema)]
#[debug("CallResource({id}, {state:?})")]
pub struct CallResource {
    /// Its id; on Asterisk that of its first channel too.
    id: Uuid,
    /// The PBX that carries it, by its name in the settings.
    #[schema(example = "main")]
    pbx: String,
    /// The integration that carries it.
    #[schema(example = "asterisk.main")]
    integration: String,
    /// Who made it.
    origin: Origin,
    /// Which way it goes.
    direction: Direction,
    /// How it was placed.
    mode: Mode,
    /// Where it is in its life.
    state: CallState,
    /// Its external side; none of a call of which that is not known.
    external: Option<External>,
    /// The extension that takes part, which in dialplan mode is called first.
    extension: Option<String>,
    /// Who asked for it.
    requested_by: Option<RequestedBy>,
    /// The integrator's own id of it.
    external_id: Option<String>,
    /// The integrator's own words about it.
    metadata: BTreeMap<String, String>,
    /// When it was asked for.
    created_at: Timestamp,
    /// When the first party's phone rang.
    ringing_at: Option<Timestamp>,
    /// When the first party answered, which of an outbound call is who placed it.
    answered_at: Option<Timestamp>,
    /// When both were connected.
    bridged_at: Option<Timestamp>,
    /// When it was over.
    ended_at: Option<Timestamp>,
    /// How it came out; none before its end.
    disposition: Option<Disposition>,
    /// Why it ended, as in Q.850; none where the end was not seen.
    cause: Option<u16>,
    /// The same in Asterisk's words.
    #[schema(example = "User busy")]
    cause_text: Option<&'static str>,
    /// What went wrong, in words.
    error: Option<String>,
    /// Its channels, in the order they were seen.
    legs: Vec<LegResource>,
}

/// The external side of a call.
#[derive(Serialize, ToSchema)]
pub(crate) struct External {
    /// The number in E.164; none where it takes a region to tell, which no setting says yet: only a number with a `+` is sure.
    number: Option<String>,
    /// The number as it was dialled, or as the PBX had it.
    raw: String,
    /// The name.
    name: Option<String>,
}

/// One channel of a call.
#[derive(Serialize, ToSchema)]
pub(crate) struct LegResource {
    /// Its id: that of the channel.
    id: String,
    /// Whose channel it is.
    role: LegRole,
    /// The party's extension or number.
    number: Option<String>,
    /// Where it is in its life.
    state: LegState,
    /// The PBX's id of the channel.
    channel_id: String,
    /// When it was first seen.
    created_at: Timestamp,
    /// When the party answered.
    answered_at: Option<Timestamp>,
    /// When it was gone.
    ended_at: Option<Timestamp>,
    /// Why, as in Q.850.
    cause: Option<u16>,
}

/// Without the numbers, for logs.
impl From<&Call> for CallResource {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id.0,
            pbx: call.pbx().to_owned(),
            integration: call.integration.clone(),
            origin: call.origin,
            direction: call.direction,
            mode: call.mode,
            state: call.state,
            external: call.number.clone().map(|raw| External {
                number: call.external_number.clone(),
                raw,
                name: call.external_name.clone(),
            }),
            extension: call.extension.clone(),
            requested_by: call.requested_by.clone(),
            external_id: call.external_id.clone(),
            metadata: call.metadata.clone(),
            created_at: call.created_at,
            ringing_at: call.ringing_at,
            answered_at: call.answered_at,
            bridged_at: call.bridged_at,
            ended_at: call.ended_at,
            disposition: call.disposition(),
            cause: call.cause.map(|cause| cause.0),
            cause_text: call.cause.map(HangupCause::text),
            error: call.error.clone(),
            legs: call.legs.iter().map(|leg| LegResource::of(call, leg)).collect(),
        }
    }
}

impl LegResource {
    fn of(call: &Call, leg: &Leg) -> Self {
        let role = call.role_of(leg);
        let number = match role {
            LegRole::Extension => &call.extension,
            LegRole::External | LegRole::Consult | LegRole::Supervisor => &call.number,
        };
        Self {
            id: leg.channel_id.clone(),
            role,
            number: number.clone(),
            state: call.state_of(leg),
            channel_id: leg.channel_id.clone(),
            created_at: leg.created_at,
            answered_at: leg.answered_at,
            ended_at: leg.ended_at,
            cause: leg.cause.map(|cause| cause.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::tests::{call, leg};

    #[test]
    fn it_is_told_in_the_words_of_the_api() {
        let mut call = call();
        call.legs = vec![leg(&call.id.to_string()), leg("second")];
        call.legs[0].answered_at = Some(call.created_at);
        call.legs[1].cause = Some(HangupCause::BUSY);
        call.legs[1].ended_at = Some(call.created_at);
        (call.state, call.closed, call.cause) = (CallState::Ended, true, Some(HangupCause::BUSY));
        let told = json!(CallResource::from(&call));
        let first = call.id.to_string();
        let expected = json!({
            "id": first, "pbx": "main", "integration": "asterisk.main", "origin": "api", "direction": "outbound",
            "mode": "dialplan", "state": "ended", "external": { "number": null, "raw": "79102223311", "name": null },
            "extension": "102", "requested_by": null, "external_id": null, "metadata": {},
            "created_at": "2026-11-22T10:00:00.123456Z", "ringing_at": null, "answered_at": null, "bridged_at": null,
            "ended_at": null, "disposition": "busy", "cause": 17, "cause_text": "User busy", "error": null,
            "legs": [
                { "id": first, "role": "extension", "number": "102", "state": "up", "channel_id": first,
                  "created_at": "2026-11-22T10:00:00.2Z", "answered_at": "2026-11-22T10:00:00.123456Z",
                  "ended_at": null, "cause": null },
                { "id": "second", "role": "external", "number": "79102223311", "state": "ended", "channel_id": "second",
                  "created_at": "2026-11-22T10:00:00.2Z", "answered_at": null,
                  "ended_at": "2026-11-22T10:00:00.123456Z", "cause": 17 },
            ],
        });
        assert_eq!(told, expected);
    }
}
