//! Calls that ring or talk on the simulated 3CX.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::cdr::Recording;
use crate::pac::proto::call::{ActiveCallsStatus, CallDirection};
use crate::simulator::RowTiming;
use crate::simulator::lock::locked;
use crate::simulator::rows::{Flow, Origin, Party, recording};

/// What PAC tells of a live call.
#[derive(Debug, Clone)]
pub(super) struct LiveCall {
    pub(super) id: u32,
    pub(super) direction: CallDirection,
    pub(super) status: ActiveCallsStatus,
    pub(super) extension: String,
    pub(super) number: String,
    hangup: CancellationToken,
}

#[derive(Debug, Default)]
pub(super) struct LiveCalls {
    calls: Mutex<BTreeMap<u32, LiveCall>>,
}

impl LiveCalls {
    pub(super) fn list(&self) -> Vec<LiveCall> {
        locked(&self.calls).values().cloned().collect()
    }

    /// Hangs up what an extension talks on; what rings stays.
    pub(super) fn hang_up(&self, extension: &str) {
        for call in locked(&self.calls).values() {
            if call.extension == extension && call.status == ActiveCallsStatus::Talking {
                call.hangup.cancel();
            }
        }
    }

    /// Transfers a call; whether there is one.
    pub(super) fn transfer(&self, id: i32, number: &str) -> bool {
        let mut calls = locked(&self.calls);
        let call = u32::try_from(id).ok().and_then(|id| calls.get_mut(&id));
        call.map(|call| number.clone_into(&mut call.number)).is_some()
    }
}

/// A live call, and the rows that it leaves. Dropping it ends it.
#[derive(Debug)]
pub(in crate::simulator) struct OngoingCall {
    core: Arc<Core>,
    flow: Flow,
    extension: String,
    number: String,
    recordings: Vec<Recording>,
    /// Cancelled when the 3CX is asked to hang up.
    pub(in crate::simulator) hangup: CancellationToken,
}

impl OngoingCall {
    pub(in crate::simulator) fn begin(
        core: &Arc<Core>,
        source: Party,
        direction: CallDirection,
        extension: &str,
        number: &str,
    ) -> Self {
        let flow = Flow::begin(&core.mint, source, core.now());
        let hangup = CancellationToken::new();
        let call = LiveCall {
            id: flow.number,
            direction,
            status: ActiveCallsStatus::Ringing,
            extension: extension.to_owned(),
            number: number.to_owned(),
            hangup: hangup.clone(),
        };
        locked(&core.live.calls).insert(flow.number, call);
        Self {
            core: Arc::clone(core),
            flow,
            extension: extension.to_owned(),
            number: number.to_owned(),
            recordings: Vec::new(),
            hangup,
        }
    }

    /// A leg begins to ring; `after` is the one that goes on as this.
    pub(in crate::simulator) fn ring(&mut self, to: Party, after: Option<usize>) -> usize {
        let now = self.core.now();
        let origin = after.map_or(Origin::CallInit, Origin::Transferred);
        let leg = self.flow.leg(&self.core.mint, to, now, origin);
        if let Some(before) = after {
            self.flow.continued(before, leg);
        }
        leg
    }

    /// A leg was answered.
    pub(in crate::simulator) fn answer(&mut self, leg: usize) {
        if let Some(call) = locked(&self.core.live.calls).get_mut(&self.flow.number) {
            call.status = ActiveCallsStatus::Talking;
        }
        self.flow.answer(leg, self.core.now());
    }

    /// A leg ends. An answered one is recorded.
    pub(in crate::simulator) fn end(&mut self, leg: usize, reason: &str, details: Option<&str>) {
        self.flow.end(leg, self.core.now(), reason, details);
        let row = &self.flow.legs[leg];
        let number = self.flow.number;
        let recording = recording(&self.core.mint, row, number, &self.extension, &self.number);
        match self.core.settings.row_timing {
            RowTiming::LegEnd => self
                .core
                .publish(std::slice::from_ref(row), recording.into_iter().collect()),
            RowTiming::CallEnd => self.recordings.extend(recording),
        }
    }
}

impl Drop for OngoingCall {
    fn drop(&mut self) {
        locked(&self.core.live.calls).remove(&self.flow.number);
        if self.core.settings.row_timing == RowTiming::CallEnd {
            let recordings = std::mem::take(&mut self.recordings);
            self.core.publish(&self.flow.legs, recordings);
        }
    }
}
