//! Legs as 3CX writes them down.

use jiff::Timestamp;
use uuid::Uuid;

use super::ids::Mint;
use super::party::Party;
use crate::cdr::Cdr;

/// How a leg came to be; all but the first of a flow follow from another.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum Origin {
    CallInit,
    /// A party that was called sends the call on, for a reason; `base` is where the routing began.
    Diverted {
        base: usize,
        by: usize,
        reason: &'static str,
    },
    /// Who talks hands the call on.
    Transferred(usize),
    /// Who talks and who was asked meanwhile are brought together.
    Joined(usize),
    /// A queue, a ring group or a rule tries somebody.
    Polled(usize),
}

impl Origin {
    /// The base and the originating leg.
    fn legs(self) -> Option<(usize, usize)> {
        match self {
            Self::CallInit => None,
            Self::Diverted { base, by, .. } => Some((base, by)),
            Self::Transferred(leg) | Self::Joined(leg) | Self::Polled(leg) => Some((leg, leg)),
        }
    }

    /// The method and the reason.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::CallInit => ("call_init", "none"),
            Self::Diverted { reason, .. } => ("divert", reason),
            Self::Transferred(_) => ("transfer", "none"),
            Self::Joined(_) => ("join", "none"),
            Self::Polled(_) => ("route_to", "polling"),
        }
    }
}

/// The legs of one call flow, in the making. An index that is no leg's does nothing.
#[derive(Debug)]
pub(in crate::simulator) struct Flow {
    /// The live call's number.
    pub(in crate::simulator) number: u32,
    pub(super) call_history_id: Uuid,
    /// That of the flow which this one was joined to.
    pub(super) main_call_history_id: Uuid,
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
            main_call_history_id: call_history_id,
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
        let (method, reason) = origin.words();
        let id = |index: usize| self.legs.get(index).map(|leg| leg.cdr_id);
        let (base, originating) = origin
            .legs()
            .map_or((None, None), |(base, by)| (id(base), id(by)));
        let talks = |leg: &Cdr| leg.cdr_answered_at.is_some_and(|answered| answered <= at);
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
            source_participant_is_already_connected: Some(self.legs.iter().any(talks)),
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
            base_cdr_id: base,
            originating_cdr_id: originating,
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
            main_call_history_id: Some(self.main_call_history_id),
            source_presentation: from.name,
            offload_id: Some(i64::from(self.number)),
        });
        self.legs.len() - 1
    }

    /// Says that a leg was answered.
    pub(in crate::simulator) fn answer(&mut self, leg: usize, at: Timestamp) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.cdr_answered_at = Some(at);
        }
    }

    /// Ends a leg.
    pub(in crate::simulator) fn end(
        &mut self,
        leg: usize,
        ended: Timestamp,
        reason: &str,
        details: Option<&str>,
    ) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.cdr_ended_at = ended;
            leg.termination_reason = text(reason);
            leg.termination_reason_details = details.and_then(text);
            leg.terminated_by_participant_id = match reason {
                "cancelled" | "rejected" | "dst_participant_terminated" => leg.destination_participant_id,
                "src_participant_terminated" => leg.source_participant_id,
                _ => None,
            };
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

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}
