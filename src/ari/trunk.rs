//! The way to one Asterisk for those who place calls, look for them, and end them.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::actor::AriHandle;
use super::error::OriginateError;
use super::messages::{GetChannel, Hangup, Originate};
use super::pacer::Pacer;
use crate::actor::{AskError, Class, ClientId, Limits, Reply};
use crate::call::{Call, CallId};
use crate::metric;
use crate::settings::AsteriskSettings;
use crate::telephony::TrunkName;

/// How fast calls may be placed: sections of the settings that lead to one node and trunk share its rate.
#[derive(Debug, Default)]
pub struct Pacers(HashMap<((String, u16), TrunkName), Pacer>);

impl Pacers {
    /// The trunk of an Asterisk whose actor is this.
    pub fn trunk(&mut self, asterisk: AriHandle, settings: &AsteriskSettings) -> Trunk {
        Trunk {
            asterisk,
            pacer: self.pacer(settings),
            limits: settings.limits,
        }
    }

    fn pacer(&mut self, settings: &AsteriskSettings) -> Option<Pacer> {
        let calls_per_s = settings.trunk_limits.calls_per_s?;
        let pacer = self.0.entry((settings.node(), settings.trunk.clone()));
        Some(pacer.or_insert_with(|| Pacer::new(calls_per_s)).clone())
    }
}

/// One Asterisk's trunk: its actor, and how fast calls may be placed through it.
#[derive(Debug, Clone)]
pub struct Trunk {
    asterisk: AriHandle,
    pacer: Option<Pacer>,
    limits: Limits,
}

impl Trunk {
    /// Places a call, after those that came before where the trunk has a rate. The wait holds no permit of the actor.
    ///
    /// # Errors
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask), and [`OriginateError::TrunkRate`] at once where its turn
    /// would come too late.
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, the call goes on without its caller.
    pub async fn originate(
        &self,
        client: &ClientId,
        request: Originate,
        deadline: Instant,
    ) -> Reply<Originate> {
        let Some(pacer) = &self.pacer else {
            return self.asterisk.ask_for(client, request, deadline).await;
        };
        // Nobody waits for a turn only to be refused.
        self.asterisk.admits(Class::Originate)?;
        if let Err(retry_after) = pacer.acquire(self.limits, deadline).await {
            let actor = self.asterisk.name().to_owned();
            metric::shed(actor, Class::Originate.as_str(), "trunk_rate").increment(1);
            return Err(AskError::Reply(OriginateError::TrunkRate { retry_after }));
        }
        self.asterisk.ask_for(client, request, deadline).await
    }

    /// Ends a call by what is known of it, whoever placed it; false where it is over. It waits behind no originate.
    ///
    /// # Errors
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask).
    ///
    /// # Cancel safety
    /// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask): once begun, it is hung up all the same.
    pub async fn hang_up(&self, client: &ClientId, call: &Call, deadline: Instant) -> Reply<Hangup> {
        let channel = call.channel_to_end();
        self.asterisk.ask_for(client, Hangup { channel }, deadline).await
    }
}

/// Looks for a call of which no record can be had, on several Asterisks at once. The first that has it tells; what a channel
/// does not show is not known of the call.
///
/// # Errors
/// As [`ActorHandle::ask`](crate::actor::ActorHandle::ask), where one could not be asked and none of the others has the call.
///
/// # Cancel safety
/// Safe: reads.
pub async fn look_for_call(
    trunks: impl IntoIterator<Item = &Trunk>,
    client: &ClientId,
    call_id: CallId,
    deadline: Instant,
) -> Reply<GetChannel> {
    let ask = |trunk: &Trunk| {
        let asterisk = trunk.asterisk.clone();
        async move { asterisk.ask_for(client, GetChannel { call_id }, deadline).await }
    };
    let mut answers: FuturesUnordered<_> = trunks.into_iter().map(ask).collect();
    let mut not_asked = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) => not_asked = Some(error),
        }
    }
    not_asked.map_or(Ok(None), Err)
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
        let mut pacers = Pacers::default();
        let mut leaves = async |host, trunk| {
            let pacer = pacers.pacer(&section(host, trunk, Some(1))).unwrap();
            let limits = Limits {
                waiting: 0,
                ..Limits::default()
            };
            let deadline = Instant::now() + Duration::from_secs(1);
            pacer.acquire(limits, deadline).await.is_ok()
        };
        assert!(leaves("pbx", "3cx").await);
        assert!(!leaves("PBX", "3cx").await, "the same trunk");
        assert!(leaves("pbx", "carrier").await);
        assert!(leaves("elsewhere", "3cx").await);
        assert!(pacers.pacer(&section("pbx", "3cx", None)).is_none());
    }
}
