//! A call with all that is known of it.

use std::collections::BTreeMap;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::id::CallId;
use super::words::{CallState, Direction, LegRole, LegState, Mode, Origin};
use crate::telephony::{HangupCause, mask};

/// One channel of a call, from the PBX to one party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The PBX's id of the channel.
    pub channel_id: String,
    /// The PBX's name of it.
    pub name: String,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When the party's phone rang; none of those that earlier versions wrote.
    #[serde(default)]
    pub ringing_at: Option<Timestamp>,
    /// When the party answered.
    pub answered_at: Option<Timestamp>,
    /// When it was gone.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub cause: Option<HangupCause>,
}

/// Who asked for a call.
#[derive(derive_more::Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestedBy {
    /// The name of the API key; none where a gateway without keys was asked.
    pub key: Option<String>,
    /// The extension for which it was asked.
    #[debug("{:?}", extension.as_deref().map(mask))]
    pub extension: Option<String>,
}

/// A call with all that is known of it, as the ledger keeps it: a field is a column. `Debug` masks its numbers, for logs.
///
/// An earlier version of the gateway on the same ledger leaves out what it does not know; such a field then has its default,
/// which all calls of that version have.
#[derive(derive_more::Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The integration that carries it, such as `asterisk.main`.
    pub integration: String,
    /// The gateway that follows it: others on the same ledger leave it alone. Empty where that is not known.
    pub instance: String,
    /// Who made it.
    #[serde(default, deserialize_with = "or_default")]
    pub origin: Origin,
    /// Which way it goes.
    #[serde(default, deserialize_with = "or_default")]
    pub direction: Direction,
    /// How it was placed.
    #[serde(default, deserialize_with = "or_default")]
    pub mode: Mode,
    /// The extension that takes part, which in dialplan mode is called first.
    #[debug("{:?}", extension.as_deref().map(mask))]
    pub extension: Option<String>,
    /// The external subscriber's number, as it was dialled or as the PBX had it.
    #[debug("{:?}", number.as_deref().map(mask))]
    pub number: Option<String>,
    /// The same number in E.164; none where it takes a region to tell.
    #[debug(skip)]
    pub external_number: Option<String>,
    /// The external subscriber's name.
    #[debug(skip)]
    pub external_name: Option<String>,
    /// Who asked for it.
    pub requested_by: Option<RequestedBy>,
    /// The integrator's own id of it.
    #[debug(skip)]
    pub external_id: Option<String>,
    /// The integrator's own words about it.
    #[serde(default, deserialize_with = "or_default")]
    #[debug(skip)]
    pub metadata: BTreeMap<String, String>,
    /// Where it is in its life.
    pub state: CallState,
    /// Whether nothing more can become known of it.
    pub closed: bool,
    /// Counts its changes; of two records of a call the one with the greater revision holds.
    pub revision: u32,
    /// When the request left.
    #[serde(rename = "sent_at")]
    pub created_at: Timestamp,
    /// When the first party's phone rang.
    pub ringing_at: Option<Timestamp>,
    /// When the first party answered.
    pub answered_at: Option<Timestamp>,
    /// When both were connected.
    pub bridged_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; none where the end was not seen.
    pub cause: Option<HangupCause>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// Its channels, in the order they were seen.
    pub legs: Vec<Leg>,
}

impl Leg {
    /// A channel that is seen for the first time.
    pub fn new(channel_id: String, name: String, created_at: Timestamp) -> Self {
        Self {
            channel_id,
            name,
            created_at,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            cause: None,
        }
    }
}

/// A field that is null as one that is not there.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// The time, as finely as a ledger keeps it: a call reads the same before and after it was written.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

impl Call {
    /// A call of which nothing is known yet but that it was asked for.
    pub fn new(id: CallId, integration: &str, created_at: Timestamp) -> Self {
        Self {
            id,
            integration: integration.to_owned(),
            revision: 1,
            created_at,
            ..Self::default()
        }
    }

    /// The name in the settings of the PBX that carries it, such as `main`.
    pub fn pbx(&self) -> &str {
        let name = self.integration.split_once('.');
        name.map_or(&self.integration, |(_, name)| name)
    }

    /// The channel whose end is the call's: the first one that lives, as far as is known.
    pub fn channel_to_end(&self) -> String {
        let living = self.legs.iter().find(|leg| leg.ended_at.is_none());
        living.map_or_else(|| self.id.to_string(), |leg| leg.channel_id.clone())
    }

    /// Whose channel one of its legs is: the dialplan calls the number from the extension's.
    pub fn role_of(&self, leg: &Leg) -> LegRole {
        if self.id.is_of(&leg.channel_id) {
            LegRole::Extension
        } else {
            LegRole::External
        }
    }

    /// Where one of its legs is in its life.
    pub fn state_of(&self, leg: &Leg) -> LegState {
        // Of the first one the call's own state tells more than its times, where those were not seen.
        let first = self.role_of(leg) == LegRole::Extension;
        let reached = |state| first && (state..=CallState::Bridged).contains(&self.state);
        if leg.ended_at.is_some() {
            LegState::Ended
        } else if leg.answered_at.is_some() || reached(CallState::Answered) {
            LegState::Up
        } else if leg.ringing_at.is_some() || reached(CallState::Ringing) {
            LegState::Ringing
        } else {
            LegState::Down
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_time_is_as_fine_as_a_ledger_keeps_it() {
        assert_eq!(now().subsec_nanosecond() % 1_000, 0);
    }

    pub(crate) fn call() -> Call {
        Call {
            instance: "0123abcd".to_owned(),
            extension: Some("102".to_owned()),
            number: Some("79102223311".to_owned()),
            ..Call::new(
                CallId::mint(),
                "asterisk.main",
                "2026-11-22T10:00:00.123456Z".parse().unwrap(),
            )
        }
    }

    /// A leg of which nothing but its channel was seen.
    pub(crate) fn leg(channel_id: &str) -> Leg {
        let seen_at = "2026-11-22T10:00:00.2Z".parse().unwrap();
        Leg::new(channel_id.to_owned(), format!("PJSIP/3cx-{channel_id}"), seen_at)
    }

    #[test]
    fn logs_do_not_show_its_numbers() {
        let mut call = call();
        call.requested_by = Some(RequestedBy {
            key: Some("crm".to_owned()),
            extension: call.extension.clone(),
        });
        let shown = format!("{call:?}{:?}", call.requested_by);
        assert!(
            !shown.contains("79102223311") && shown.contains("7910*****11"),
            "{shown}"
        );
        assert!(!shown.contains("102\""), "{shown}");
    }

    #[test]
    fn its_pbx_is_named_as_in_the_settings() {
        let mut call = call();
        assert_eq!(call.pbx(), "main");
        call.integration = "pac.head.office".to_owned();
        assert_eq!(call.pbx(), "head.office");
    }

    #[test]
    fn a_call_is_ended_by_its_first_channel_that_lives() {
        let mut call = call();
        assert_eq!(call.channel_to_end(), call.id.to_string());
        call.legs = vec![leg("first"), leg("second")];
        assert_eq!(call.channel_to_end(), "first");
        call.legs[0].ended_at = Some(call.created_at);
        assert_eq!(call.channel_to_end(), "second");
    }

    #[test]
    fn a_leg_is_as_far_as_it_was_seen() {
        let mut call = call();
        call.legs = vec![leg(&call.id.to_string()), leg("second")];
        let states = |call: &Call| [0, 1].map(|leg| call.state_of(&call.legs[leg]));
        assert_eq!(states(&call), [LegState::Down; 2]);
        // Shown by Asterisk, without a time.
        call.state = CallState::Answered;
        assert_eq!(states(&call), [LegState::Up, LegState::Down]);
        call.legs[1].ringing_at = Some(call.created_at);
        assert_eq!(states(&call), [LegState::Up, LegState::Ringing]);
        call.legs[1].answered_at = Some(call.created_at);
        call.legs[0].ended_at = Some(call.created_at);
        assert_eq!(states(&call), [LegState::Ended, LegState::Up]);
    }
}
