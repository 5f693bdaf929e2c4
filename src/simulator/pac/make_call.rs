//! A call that PAC was asked to make: 3CX rings the extension, then dials the number.

use std::sync::Arc;

use tokio::time::sleep;

use super::core::Core;
use super::live::OngoingCall;
use crate::pac::proto::call::CallDirection;
use crate::simulator::party::PartyBehaviour;
use crate::simulator::rows::Party;

/// Begins the call; it goes on by itself.
pub(super) fn begin(core: &Arc<Core>, extension: String, number: String) {
    let call = OngoingCall::begin(
        core,
        Party::make_call(),
        CallDirection::Outbound,
        &extension,
        &number,
    );
    let task = run(Arc::clone(core), call, extension, number);
    core.spawn(task);
}

async fn run(core: Arc<Core>, mut call: OngoingCall, extension: String, number: String) {
    let ringing = call.ring(Party::extension(&extension), None);
    if !answers(&core, &mut call, ringing, &extension).await {
        return;
    }
    let dialled = call.ring(Party::external_line(&number, false), Some(ringing));
    call.end(ringing, "continued_in", Some("none"));
    if !answers(&core, &mut call, dialled, &number).await {
        return;
    }
    let reason = tokio::select! {
        () = sleep(core.settings.pace.talk) => "dst_participant_terminated",
        () = call.hangup.cancelled() => "src_participant_terminated",
    };
    call.end(dialled, reason, None);
}

/// Waits for what the party does; where it does not answer, the leg has ended.
async fn answers(core: &Core, call: &mut OngoingCall, leg: usize, party: &str) -> bool {
    let pace = core.settings.pace;
    let behaviour = core.script.behaviour(party);
    sleep(if behaviour == PartyBehaviour::NeverAnswers {
        pace.give_up
    } else {
        pace.ring
    })
    .await;
    let (reason, details) = match behaviour {
        PartyBehaviour::Answers => {
            call.answer(leg);
            return true;
        }
        PartyBehaviour::NeverAnswers => ("cancelled", "timeout"),
        PartyBehaviour::Refuses { cause: 17, .. } => ("rejected", "busy"),
        PartyBehaviour::Refuses { .. } => ("rejected", "declined"),
    };
    call.end(leg, reason, Some(details));
    false
}
