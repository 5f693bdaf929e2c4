//! The way to one Asterisk for those who place calls and end them.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::actor::AriHandle;
use super::error::AriError;
use super::live_calls::{LiveCalls, NodeCalls};
use super::messages::{Hangup, Originate};
use super::pace::Pace;
use crate::actor::{AskError, Class, Limits, Reply};
use crate::call::CallId;
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
        Trunk {
            asterisk,
            calls,
            pace: self.pace(settings),
            limits: settings.limits,
        }
    }

    fn pace(&mut self, settings: &AsteriskSettings) -> Option<Pace> {
        let calls_per_s = settings.trunk_limits.calls_per_s?;
        let paces = &mut self.0.entry(settings.node()).or_default().paces;
        if let Some((_, pace)) = paces.iter().find(|(trunk, _)| *trunk == settings.trunk) {
            return Some(pace.clone());
        }
        let pace = Pace::new(calls_per_s);
        paces.push((settings.trunk.clone(), pace.clone()));
        Some(pace)
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
        let Some(pace) = &self.pace else {
            return self.asterisk.ask(request, deadline).await;
        };
        // Nobody waits for a turn only to be refused.
        self.asterisk.admits(Class::Originate)?;
        if let Err(excess) = pace.turn(self.limits, deadline).await {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sections_of_one_trunk_have_one_rate_and_others_their_own() {
        let section = |host: &str, trunk: &str, calls_per_s: Option<u32>| -> AsteriskSettings {
            let settings = json!({
                "host": host, "user": "mege", "password": "secret", "trunk": trunk, "context": "outgoing",
                "trunk_limits": { "calls_per_s": calls_per_s },
            });
            serde_json::from_value(settings).unwrap()
        };
        let mut nodes = Nodes::default();
        let mut leaves = async |host, trunk| {
            let pace = nodes.pace(&section(host, trunk, Some(1))).unwrap();
            let limits = Limits {
                waiting: 0,
                ..Limits::default()
            };
            let deadline = Instant::now() + Duration::from_secs(1);
            pace.turn(limits, deadline).await.is_ok()
        };
        assert!(leaves("pbx", "3cx").await);
        assert!(!leaves("PBX", "3cx").await, "the same trunk");
        assert!(leaves("pbx", "carrier").await);
        assert!(leaves("elsewhere", "3cx").await);
        assert!(nodes.pace(&section("pbx", "3cx", None)).is_none());
    }
}
