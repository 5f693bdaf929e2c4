//! Legs as 3CX writes them down.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::ids::Mint;
use crate::cdr::{Cdr, Recording};

/// One side of a leg.
#[derive(Debug, Clone, Default)]
pub(in crate::simulator) struct Party {
    entity: &'static str,
    dn_type: &'static str,
    dn: Option<String>,
    dn_name: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    did: Option<String>,
    group: Option<String>,
    incoming: bool,
}

impl Party {
    /// An external subscriber on a trunk: `incoming` when it called.
    pub(in crate::simulator) fn external_line(number: &str, incoming: bool) -> Self {
        Self {
            entity: "external_line",
            dn_type: "provider",
            dn: Some("10001".to_owned()),
            dn_name: Some("Основной транк".to_owned()),
            phone: Some(number.to_owned()),
            did: incoming.then(|| "+74950000100".to_owned()),
            incoming,
            ..Self::default()
        }
    }

    /// Gives the party a name, as a directory would.
    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = text(name);
        self
    }

    /// A subscriber of the PBX.
    pub(in crate::simulator) fn extension(number: &str) -> Self {
        Self {
            entity: "extension",
            dn_type: "extension",
            dn: Some(number.to_owned()),
            dn_name: Some(format!("Оператор {number}")),
            name: Some(format!("Оператор {number}")),
            group: Some("__DEFAULT__".to_owned()),
            ..Self::default()
        }
    }

    /// What stands for the caller in a call that a program asked for.
    pub(in crate::simulator) fn make_call() -> Self {
        Self::service("ivr", "MakeCall")
    }

    /// A queue, a script, an IVR or a rule.
    pub(in crate::simulator) fn service(entity: &'static str, dn: &str) -> Self {
        let dn_type = if matches!(entity, "inbound_routing" | "outbound_rule") {
            "unknown"
        } else {
            entity
        };
        Self {
            entity,
            dn_type,
            dn: Some(dn.to_owned()),
            ..Self::default()
        }
    }
}

/// How a leg came to be; all but the first follow from another leg.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum Origin {
    CallInit,
    Diverted(usize),
    Transferred(usize),
    Polled(usize),
    Routed(usize),
}

impl Origin {
    /// The leg that it follows from, the method and the reason.
    fn parts(self) -> (Option<usize>, &'static str, &'static str) {
        match self {
            Self::CallInit => (None, "call_init", "none"),
            Self::Diverted(after) => (Some(after), "divert", "by_did"),
            Self::Transferred(after) => (Some(after), "transfer", "none"),
            Self::Polled(after) => (Some(after), "route_to", "polling"),
            Self::Routed(after) => (Some(after), "route_to", "none"),
        }
    }
}

/// The legs of one call flow, in the making.
#[derive(Debug)]
pub(in crate::simulator) struct Flow {
    /// The live call's number.
    pub(in crate::simulator) number: u32,
    call_history_id: Uuid,
    source: Party,
    source_id: Uuid,
    /// The legs so far, in the order of their starts.
    pub(in crate::simulator) legs: Vec<Cdr>,
}

impl Flow {
    pub(in crate::simulator) fn begin(mint: &Mint, source: Party, at: Timestamp) -> Self {
        let (call_history_id, number) = mint.call(at);
        Self {
            number,
            call_history_id,
            source,
            source_id: mint.participant(at),
            legs: Vec::new(),
        }
    }

    /// Starts a leg from the flow's source.
    pub(in crate::simulator) fn leg(
        &mut self,
        mint: &Mint,
        to: Party,
        at: Timestamp,
        origin: Origin,
    ) -> usize {
        let from = self.source.clone();
        let (after, method, reason) = origin.parts();
        let before = after.and_then(|index| self.legs.get(index)).map(|leg| leg.cdr_id);
        self.legs.push(Cdr {
            cdr_id: mint.leg(at),
            call_history_id: self.call_history_id,
            source_participant_id: Some(self.source_id),
            source_entity_type: text(from.entity),
            source_dn_number: from.dn,
            source_dn_type: text(from.dn_type),
            source_dn_name: from.dn_name,
            source_participant_name: from.name.clone(),
            source_participant_phone_number: from.phone,
            source_participant_trunk_did: from.did,
            source_participant_is_incoming: Some(from.incoming),
            source_participant_is_already_connected: Some(before.is_some()),
            source_participant_group_name: from.group,
            source_participant_billing_suffix: None,
            destination_participant_id: Some(mint.participant(at)),
            destination_entity_type: text(to.entity),
            destination_dn_number: to.dn,
            destination_dn_type: text(to.dn_type),
            destination_dn_name: to.dn_name,
            destination_participant_name: to.name,
            destination_participant_phone_number: to.phone,
            destination_participant_trunk_did: to.did,
            destination_participant_is_incoming: Some(to.incoming),
            destination_participant_is_already_connected: Some(false),
            destination_participant_group_name: to.group,
            destination_participant_billing_suffix: None,
            base_cdr_id: before,
            originating_cdr_id: before,
            creation_method: text(method),
            creation_forward_reason: text(reason),
            termination_reason: None,
            terminated_by_participant_id: None,
            continued_in_cdr_id: None,
            cdr_started_at: at,
            cdr_ended_at: at,
            cdr_answered_at: None,
            termination_reason_details: None,
            processed: Some(true),
            migrated: Some(false),
            main_call_history_id: Some(self.call_history_id),
            source_presentation: from.name,
            offload_id: Some(i64::from(self.number)),
        });
        self.legs.len() - 1
    }

    /// Ends a leg. An index that is not a leg's does nothing.
    pub(in crate::simulator) fn end(
        &mut self,
        leg: usize,
        answered: Option<Timestamp>,
        ended: Timestamp,
        reason: &str,
        details: Option<&str>,
    ) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.cdr_answered_at = answered;
            leg.cdr_ended_at = ended;
            leg.termination_reason = text(reason);
            leg.termination_reason_details = details.and_then(text);
        }
    }

    /// Says that `leg` went on as `next`.
    pub(in crate::simulator) fn continued(&mut self, leg: usize, next: usize) {
        let next = self.legs.get(next).map(|leg| leg.cdr_id);
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.continued_in_cdr_id = next;
        }
    }
}

/// The recording of an answered leg; None for one that nobody answered.
pub(in crate::simulator) fn recording(
    mint: &Mint,
    leg: &Cdr,
    extension: &str,
    other: &str,
) -> Option<Recording> {
    let answered = leg.cdr_answered_at?;
    let id = mint.recording();
    // 3CX writes the wall clock of its server into the name; this one stands in Moscow.
    let local = answered + SignedDuration::from_hours(3);
    let stamp = local.strftime("%Y%m%d%H%M%S");
    let digits = other.trim_start_matches('+');
    Some(Recording {
        id_recording: id,
        cdr_id: leg.cdr_id,
        recording_url: Some(format!(
            "{extension}/[Оператор, {extension}]_{extension}-{digits}_{stamp}({id}).wav"
        )),
        start_time: Some(answered),
        end_time: Some(leg.cdr_ended_at),
        archived: Some(false),
        archived_url: None,
    })
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}
