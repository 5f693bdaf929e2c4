//! The way to one Asterisk for those who place calls and end them.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::actor::AriHandle;
use super::error::AriError;
use super::live_calls::{LiveCalls, NodeCalls};
use super::messages::{Hangup, Originate};
use super::pace::Pace;
use crate::actor::{AskError, Limits, Reply};
use crate::ledger::CallId;
use crate::metric;
use crate::settings::AsteriskSettings;
use crate::telephony::TrunkName;

/// What sections of the settings share: those with one address lead to one node.
#[derive(Debug, Default)]
pub struct Nodes(BTreeMap<(String, u16), Node>);

#[derive(Debug, Default)]
struct Node {
    calls: NodeCalls,
    paces: Vec<(TrunkName, Pace)>,
}

impl Nodes {
    /// The calls of one more Asterisk; its actor goes by this name.
    pub fn live_calls(&mut self, actor: &str, settings: &AsteriskSettings) -> LiveCalls {
        let node = self.0.entry(settings.node()).or_default();
        node.calls.join(actor, settings)
    }

    /// The trunk of an Asterisk whose actor is this, and whose calls are these.
    pub fn trunk(&mut self, asterisk: AriHandle, calls: LiveCalls, settings: &AsteriskSettings) -> Trunk {
        let paces = &mut self.0.entry(settings.node()).or_default().paces;
        let pace = settings.trunk_limits.calls_per_s.map(|calls_per_s| {
            let known = paces.iter().find(|(trunk, _)| *trunk == settings.trunk);
            let known = known.map(|(_, pace)| pace.clone());
            known.unwrap_or_else(|| {
                let pace = Pace::new(calls_per_s);
                paces.push((settings.trunk.clone(), pace.clone()));
                pace
            })
        });
        Trunk {
            asterisk,
            calls,
            pace,
            limits: settings.limits,
        }
    }
}

/// One Asterisk's trunk: its actor, the calls that live on it, and how fast more may come.
#[derive(Debug, Clone)]
pub struct Trunk {
    asterisk: AriHandle,
    calls: LiveCalls,
    pace: Option<Pace>,
    limits: Limits,
}

impl Trunk {
    /// Places a call, after those that came before where the trunk has a rate. The wait holds no permit of the actor.
    ///
    /// # Errors
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask), and [`AriError::TrunkRate`] at once where its turn would come
    /// too late.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, the call goes on without its caller.
    pub async fn originate(&self, request: Originate, deadline: Instant) -> Reply<Originate> {
        if let Some(pace) = &self.pace
            && let Err(excess) = pace.turn(self.limits, deadline).await
        {
            let actor = self.asterisk.name().to_owned();
            metrics::counter!(metric::SHED, "actor" => actor, "class" => "originate", "reason" => "trunk_rate").increment(1);
            return Err(AskError::Reply(AriError::TrunkRate {
                retry_after: excess.retry_after,
            }));
        }
        self.asterisk.ask(request, deadline).await
    }

    /// Whether it carries this call. Asks nobody.
    #[must_use]
    pub fn carries(&self, call: CallId) -> bool {
        self.calls.holds(call)
    }

    /// Ends a call, in whatever state it is. It waits behind no originate.
    ///
    /// # Errors
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask), and [`AriError::NoSuchCall`].
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, it is hung up all the same.
    pub async fn hang_up(&self, call: CallId, deadline: Instant) -> Reply<Hangup> {
        self.asterisk.ask(Hangup { call_id: call }, deadline).await
    }
}
