//! The only door to the CDR store.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture};
use serde::Serialize;

use super::cursor::HandedOut;
use super::messages::{
    Apply, GetLastCallId, GetPosition, GetRecording, ListDigests, RemovePosition, SearchAfterCallId,
};
use super::pages;
use super::store::{CdrStore, open_store};
use crate::actor::{self, ActorHandle, Ask, Backoff, Bulkhead, Health, Limits, Reply, Spawn};
use crate::database::StoreError;
use crate::settings::StoreSettings;

/// How often an open store is looked at.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// The waits before a store that cannot be opened, or does not answer, is tried again.
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// The way to the CDR store.
pub type CdrHandle = ActorHandle<CdrActor>;

/// Starts the actor of the CDR store. It is there at once, the store when it can be opened: until then, and
/// whenever it does not answer, requests get [`StoreError::NotOpen`] or [`StoreError::Unavailable`], and the health says that it is not usable.
pub fn spawn_cdr(spawn: Spawn, settings: StoreSettings) -> CdrHandle {
    actor::spawn(spawn, move |health| {
        CdrActor::new(settings.clone(), health.clone())
    })
}

/// Owns the CDR store.
#[derive(derive_more::Debug)]
#[debug("CdrActor")]
pub struct CdrActor {
    settings: StoreSettings,
    health: Health,
    /// Answers of more than one page wait for their readers, each client for its own: slow ones keep neither short answers nor
    /// other clients out.
    long_answers: Bulkhead,
    /// The store, or why there is none yet.
    store: Result<Arc<CdrStore>, StoreError>,
}

/// Room for long answers: for twice as many as short ones, since they mostly wait, and of one client a quarter of that.
fn long_answers(short: Limits) -> Bulkhead {
    let in_flight = 2 * short.in_flight;
    let limits = Limits {
        in_flight,
        waiting: in_flight,
        ..short
    };
    Bulkhead::with_share(limits, in_flight.div_ceil(4))
}

/// What `/status` shows of the store.
#[derive(Debug, Default, Serialize)]
struct StoreHealth {
    /// The latest change's `seq`, when the store answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl CdrActor {
    fn new(settings: StoreSettings, health: Health) -> Self {
        let opening = StoreError::being_opened();
        // Before the actor runs, so that nobody is told that it is usable before it is. Not an error yet.
        health.publish(false, &StoreHealth::default());
        Self {
            long_answers: long_answers(settings.limits),
            settings,
            health,
            store: Err(opening),
        }
    }

    fn store(&self) -> Result<Arc<CdrStore>, StoreError> {
        self.store.clone()
    }

    /// Opens the store, or looks whether the open one answers; then again, for the life of the actor.
    /// `failures` counts those in a row.
    fn probe(&mut self, failures: u32, context: &mut Context<Self>) {
        let (store, settings) = (self.store(), self.settings.clone());
        let look = async move {
            let store = match store {
                Ok(store) => store,
                Err(_) => open_store(&settings).await?,
            };
            let seq = store.head().await?;
            Ok((store, seq))
        };
        let look = wrap_future(look).map(move |found, actor: &mut Self, context: &mut Context<Self>| {
            let (failures, wait) = match actor.publish(found) {
                Ok(()) => (0, PROBE_INTERVAL),
                Err(_) => (failures.saturating_add(1), RETRY.delay(failures)),
            };
            context.run_later(wait, move |actor, context| actor.probe(failures, context));
        });
        context.spawn(look);
    }

    /// Keeps and publishes what was found. A store that is open stays so: its pool connects again by itself.
    fn publish(&mut self, found: Result<(Arc<CdrStore>, i64), StoreError>) -> Result<(), StoreError> {
        // Busy is not down.
        if matches!((&self.store, &found), (Ok(_), Err(StoreError::PoolTimeout))) {
            return Ok(());
        }
        let (seq, failure) = match found {
            Ok((store, seq)) => {
                self.store = Ok(store);
                (Some(seq), None)
            }
            Err(error) => {
                if self.store.is_err() {
                    self.store = Err(StoreError::NotOpen(error.to_string()));
                }
                (None, Some(error))
            }
        };
        let error = failure.as_ref().map(ToString::to_string);
        if let Some(error) = &error {
            tracing::warn!(actor = self.health.name(), error, "store is down");
        }
        self.health.publish(error.is_none(), &StoreHealth { seq, error });
        failure.map_or(Ok(()), Err)
    }
}

impl Actor for CdrActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.probe(0, context);
    }
}

impl Handler<Ask<Apply>> for CdrActor {
    type Result = ResponseFuture<Reply<Apply>>;

    fn handle(&mut self, ask: Ask<Apply>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move { store?.apply(&message.pbx, message.batch).await })
    }
}

impl Handler<Ask<GetPosition>> for CdrActor {
    type Result = ResponseFuture<Reply<GetPosition>>;

    fn handle(&mut self, ask: Ask<GetPosition>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move { store?.position(&message.pbx).await })
    }
}

impl Handler<Ask<RemovePosition>> for CdrActor {
    type Result = ResponseFuture<Reply<RemovePosition>>;

    fn handle(&mut self, ask: Ask<RemovePosition>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move { store?.remove_position(&message.name).await })
    }
}

impl Handler<Ask<ListDigests>> for CdrActor {
    type Result = ResponseFuture<Reply<ListDigests>>;

    fn handle(&mut self, ask: Ask<ListDigests>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move { store?.digests(&message.pbx, message.range).await })
    }
}

impl Handler<Ask<GetLastCallId>> for CdrActor {
    type Result = ResponseFuture<Reply<GetLastCallId>>;

    fn handle(&mut self, ask: Ask<GetLastCallId>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move {
            let store = store?;
            let (last, head) = store.last_call_id(&message.pbx).await?;
            if let (Some(client), Some(last)) = (message.client, last) {
                let handed_out = HandedOut {
                    greatest: Some(last),
                    last: Some(last),
                    asked: None,
                    from: head,
                    until: head,
                };
                store.hand_out(&message.pbx, &client, handed_out).await?;
            }
            Ok(last)
        })
    }
}

impl Handler<Ask<GetRecording>> for CdrActor {
    type Result = ResponseFuture<Reply<GetRecording>>;

    fn handle(&mut self, ask: Ask<GetRecording>, _: &mut Context<Self>) -> Self::Result {
        let store = self.store();
        ask.run(|message, _| async move {
            let GetRecording { pbx, id_recording } = message;
            store?.recording_file(&pbx, id_recording).await
        })
    }
}

impl Handler<Ask<SearchAfterCallId>> for CdrActor {
    type Result = ResponseFuture<Reply<SearchAfterCallId>>;

    fn handle(&mut self, ask: Ask<SearchAfterCallId>, _: &mut Context<Self>) -> Self::Result {
        let (store, health) = (self.store(), self.health.clone());
        let long_answers = self.long_answers.clone();
        ask.run_with_permit(|message, _, permit| async move {
            pages::search(store?, message, permit, long_answers, &health).await
        })
    }
}

#[cfg(test)]
mod tests;
