//! The calling of one party.

use std::time::Duration;

use tokio::time::sleep;

use super::call::Call;
use super::channel::dial_status;
use super::event::Event;
use crate::simulator::pac::OngoingCall;
use crate::simulator::party::PartyBehaviour;

/// A leg as the 3CX has it.
pub(super) struct Leg {
    pub(super) call: OngoingCall,
    pub(super) row: usize,
}

/// How the calling of a party ended.
pub(super) enum Rang {
    Answered,
    Refused { cause: u16, sip_status: Option<u16> },
    HungUp,
}

impl Call {
    /// Calls a party and waits for what it does.
    pub(super) async fn ring(
        &self,
        caller: Option<&str>,
        channel: &str,
        party: &str,
        dial_string: &str,
        timeout: Option<Duration>,
        leg: &mut Leg,
    ) -> Rang {
        let pace = self.exchange.settings.pace;
        {
            let mut state = self.exchange.state();
            state.update(channel, "ChannelDialplan", |_| {});
            state.tell(
                channel,
                Event::new("ChannelVarset")
                    .with("variable", "DIALEDPEERNUMBER")
                    .with("value", dial_string),
            );
            state.dial(caller, channel, "", dial_string);
            state.update(channel, "ChannelStateChange", |channel| channel.state = "Ringing");
            state.dial(caller, channel, "RINGING", dial_string);
        }
        let behaviour = self.exchange.script.behaviour(party);
        let patience = timeout.unwrap_or(Duration::MAX);
        let rings = if behaviour == PartyBehaviour::NeverAnswers {
            pace.give_up
        } else {
            pace.ring
        };
        let gives_up = behaviour == PartyBehaviour::NeverAnswers || patience < rings;
        tokio::select! {
            () = sleep(rings.min(patience)) => {}
            () = self.hangup.cancelled() => {
                self.exchange.state().dial(caller, channel, "CANCEL", dial_string);
                leg.call.end(leg.row, "cancelled", Some("terminated_by_originator"));
                return Rang::HungUp;
            }
        }
        let (cause, sip_status, reason, details) = match behaviour {
            PartyBehaviour::NeverAnswers => (19, None, "cancelled", "timeout"),
            _ if gives_up => (19, None, "cancelled", "timeout"),
            PartyBehaviour::Refuses { cause, sip_status } => {
                let details = if cause == 17 { "busy" } else { "declined" };
                (cause, Some(sip_status), "rejected", details)
            }
            PartyBehaviour::Answers => {
                let mut state = self.exchange.state();
                state.update(channel, "ChannelStateChange", |channel| channel.state = "Up");
                state.dial(caller, channel, "ANSWER", dial_string);
                leg.call.answer(leg.row);
                return Rang::Answered;
            }
        };
        self.exchange
            .state()
            .dial(caller, channel, dial_status(cause), dial_string);
        if sip_status.is_some() {
            self.hangup_request(channel, cause);
        }
        leg.call.end(leg.row, reason, Some(details));
        Rang::Refused { cause, sip_status }
    }
}
