//! The simulated Asterisk itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, caller_id};
use super::event::Event;
use super::faults::Journal;
use super::sessions::SessionLimit;
use super::socket::SocketOrder;
use super::state::State;
use super::writes::Writes;
use crate::simulator::lock::locked;
use crate::simulator::party::Script;
use crate::simulator::{SimulatorSettings, pac};

pub(super) struct Exchange {
    pub(super) settings: Arc<SimulatorSettings>,
    pub(super) script: Arc<Script>,
    pub(super) pbx: Arc<pac::Core>,
    pub(super) runtime: Handle,
    pub(super) journal: Journal,
    pub(super) sessions: Arc<SessionLimit>,
    pub(super) writes: Writes,
    /// How event sockets ended, the last last.
    pub(super) socket_ends: Mutex<VecDeque<Option<u16>>>,
    /// Orders to every event socket that is open.
    pub(super) sockets: broadcast::Sender<SocketOrder>,
    state: Mutex<State>,
    serial: AtomicU64,
}

/// A channel in the making.
#[derive(Debug)]
pub(super) struct NewChannel<'a> {
    pub(super) id: &'a str,
    pub(super) trunk: &'a str,
    pub(super) caller_id: &'a str,
    pub(super) context: &'a str,
    pub(super) exten: &'a str,
    pub(super) hangup: CancellationToken,
}

impl Exchange {
    pub(super) fn new(
        settings: Arc<SimulatorSettings>,
        script: Arc<Script>,
        pbx: Arc<pac::Core>,
        runtime: Handle,
    ) -> Self {
        let state = State {
            trunks: settings.trunks.iter().cloned().collect(),
            ..State::default()
        };
        Self {
            settings,
            script,
            pbx,
            runtime,
            journal: Journal::default(),
            sessions: Arc::default(),
            writes: Writes::default(),
            socket_ends: Mutex::default(),
            sockets: broadcast::channel(64).0,
            state: Mutex::new(state),
            serial: AtomicU64::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// A number that this Asterisk has not used before.
    pub(super) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An id as Asterisk makes them.
    pub(super) fn unique_id(&self) -> String {
        format!("{}.{}", Timestamp::now().as_second(), self.serial())
    }

    /// Creates a channel, unless one of its id lives.
    pub(super) fn create(&self, new: NewChannel<'_>) -> Option<Channel> {
        let serial = self.serial();
        let name = format!("PJSIP/{}-{serial:08x}", new.trunk);
        let mut state = self.state();
        if state.channels.contains_key(new.id) {
            return None;
        }
        let channel = Channel {
            id: new.id.to_owned(),
            name,
            trunk: new.trunk.to_owned(),
            state: "Down",
            caller: caller_id(new.caller_id),
            context: new.context.to_owned(),
            exten: new.exten.to_owned(),
            dialplan_app: ("AppDial2", "(Outgoing Line)".to_owned()),
            created: Timestamp::now(),
            in_stasis: false,
            hangup: new.hangup,
            hangup_cause: None,
        };
        state.channels.insert(channel.id.clone(), channel.clone());
        state.publish(&Event::new("ChannelCreated").channel("channel", &channel));
        Some(channel)
    }
}
