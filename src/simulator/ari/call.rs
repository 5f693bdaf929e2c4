//! A call as it goes on in Asterisk: the first party rings; once it answers, the dialplan dials the number, both talk,
//! and the far end hangs up.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::event::Event;
use super::exchange::{Exchange, NewChannel};
use super::ring::{Leg, Rang};
use crate::pac::proto::call::CallDirection;
use crate::simulator::pac::OngoingCall;
use crate::simulator::rows::Party;

/// What happens once the first party answers.
#[derive(Debug)]
pub(super) enum Then {
    /// The dialplan dials this number.
    Dial(String),
    /// The channel enters an application.
    Stasis { app: String, args: String },
}

pub(super) struct Call {
    pub(super) exchange: Arc<Exchange>,
    /// The first channel's id.
    pub(super) first: String,
    pub(super) trunk: String,
    /// Who is called first.
    pub(super) party: String,
    pub(super) caller_id: String,
    pub(super) context: String,
    /// How long the first party may ring; None: without end.
    pub(super) timeout: Option<Duration>,
    pub(super) then: Then,
    pub(super) hangup: CancellationToken,
}

impl Call {
    pub(super) async fn run(self) {
        let (number, app) = match &self.then {
            Then::Dial(number) => (number.as_str(), None),
            Then::Stasis { app, args } => (self.caller_id.as_str(), Some((app, args))),
        };
        let mut leg = self.leg(&self.party, number, Party::extension(&self.party));
        let dial_string = format!("{}@{}", self.party, self.trunk);
        let rang = self
            .ring(
                None,
                &self.first,
                &self.party,
                &dial_string,
                self.timeout,
                &mut leg,
            )
            .await;
        match rang {
            Rang::Answered => {}
            Rang::Refused { cause, sip_status } => return self.destroy(&self.first, cause, sip_status),
            Rang::HungUp => return self.destroy_hung_up(&[&self.first]),
        }
        match app {
            Some((app, args)) => self.in_stasis(app, args, &leg).await,
            None => self.dial(number, &leg).await,
        }
        leg.call.end(leg.row, "src_participant_terminated", None);
    }

    /// The dialplan dials the number.
    async fn dial(&self, number: &str, first: &Leg) {
        let exchange = &self.exchange;
        let id = exchange.unique_id();
        let created = exchange.create(NewChannel {
            id: &id,
            trunk: &self.trunk,
            caller_id: number,
            context: &self.context,
            exten: number,
            hangup: self.hangup.clone(),
        });
        if created.is_none() {
            // Somebody chose that very id for a channel: the dialplan cannot dial.
            return self.destroy(&self.first, 34, None);
        }
        let mut leg = self.leg(&self.party, number, Party::external_line(number, false));
        let dial_string = format!("{number}@{}", self.trunk);
        let rang = self
            .ring(Some(&self.first), &id, number, &dial_string, None, &mut leg)
            .await;
        match rang {
            Rang::Answered => {}
            Rang::Refused { cause, sip_status } => {
                self.destroy(&id, cause, sip_status);
                return self.destroy(&self.first, cause, None);
            }
            Rang::HungUp => return self.destroy_hung_up(&[&id, &self.first]),
        }
        let bridge = uuid::Uuid::new_v4().to_string();
        exchange.state().bridge(&bridge, &[&id, &self.first]);
        let ended_by = self.talk(&[first, &leg]).await;
        let reason = match ended_by {
            EndedBy::FarEnd => {
                self.hangup_request(&id, 16);
                self.destroy(&id, 16, None);
                self.hangup_request(&self.first, 16);
                self.destroy(&self.first, 16, None);
                "dst_participant_terminated"
            }
            EndedBy::Ari => {
                self.destroy_hung_up(&[&id, &self.first]);
                "src_participant_terminated"
            }
        };
        leg.call.end(leg.row, reason, None);
    }

    /// The channel is in an application until somebody hangs up. Without one it leaves the dialplan at once.
    async fn in_stasis(&self, app: &str, args: &str, leg: &Leg) {
        let entered = {
            let mut state = self.exchange.state();
            let runs = state
                .applications
                .get(app)
                .is_some_and(|app| app.socket.is_some());
            if runs {
                if let Some(channel) = state.channels.get_mut(&self.first) {
                    channel.in_stasis = true;
                }
                let args: Vec<&str> = args.split(',').filter(|arg| !arg.is_empty()).collect();
                state.tell(&self.first, Event::new("StasisStart").with("args", json!(args)));
            }
            runs
        };
        if !entered {
            return self.destroy(&self.first, 16, None);
        }
        match self.talk(&[leg]).await {
            EndedBy::FarEnd => {
                self.hangup_request(&self.first, 16);
                self.destroy(&self.first, 16, None);
            }
            EndedBy::Ari => self.destroy_hung_up(&[&self.first]),
        }
    }

    fn leg(&self, extension: &str, number: &str, to: Party) -> Leg {
        let source = Party::external_line(number, true);
        let pbx = &self.exchange.pbx;
        let mut call = OngoingCall::begin(pbx, source, CallDirection::Inbound, extension, number);
        let row = call.ring(to, None);
        Leg { call, row }
    }

    /// Waits for the end of the talk.
    async fn talk(&self, legs: &[&Leg]) -> EndedBy {
        let hung_up_in_3cx =
            futures_util::future::select_all(legs.iter().map(|leg| Box::pin(leg.call.hangup.cancelled())));
        tokio::select! {
            () = sleep(self.exchange.settings.pace.talk) => EndedBy::FarEnd,
            _ = hung_up_in_3cx => EndedBy::FarEnd,
            () = self.hangup.cancelled() => EndedBy::Ari,
        }
    }

    pub(super) fn hangup_request(&self, id: &str, cause: u16) {
        let event = Event::new("ChannelHangupRequest").with("cause", cause);
        self.exchange.state().tell(id, event);
    }

    fn destroy(&self, id: &str, cause: u16, sip_status: Option<u16>) {
        self.exchange.state().destroy(id, cause, sip_status);
    }

    /// Ends channels with the cause that ARI gave for the one it hung up.
    fn destroy_hung_up(&self, ids: &[&str]) {
        let mut state = self.exchange.state();
        let given = ids.iter().find_map(|&id| state.channels.get(id)?.hangup_cause);
        for id in ids {
            state.tell(id, Event::new("ChannelHangupRequest").with("cause", 16));
            state.destroy(id, given.unwrap_or(16), None);
        }
    }
}

/// Who ended a talk.
enum EndedBy {
    FarEnd,
    Ari,
}
