//! Every actor: started together, and stopped together but for the stores, which all others ask.

mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use tokio::time::{Instant, timeout};

use crate::actor::{ActorRegistry, Operate, Placement, State};
use crate::ari::{self, AriHandle, AriSettings, Leave, Pacers, Trunk};
use crate::cdr::collector::{self, CollectorHandle};
use crate::ledger;
use crate::pac::{self, InvalidPacAddress, PacHandle};
use crate::recordings::{self, RecordingHandle};
use crate::settings::{RecordingPath, Settings};

pub use stores::{Stores, cdr_store, ledger_settings};

use stores::provisional_instance;

/// How long the actors may take to be built. None of them waits for its integration.
const BUILD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the stores may take to write what is left.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the event socket of an Asterisk may take to be closed; a little more than the actor takes at most.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Every actor of the gateway.
#[derive(Debug, Clone)]
pub struct Integrations {
    /// The gateway's own stores.
    pub stores: Stores,
    /// Each Asterisk by its configured name.
    pub asterisk: BTreeMap<String, AriHandle>,
    /// The trunk of each Asterisk.
    pub trunks: BTreeMap<String, Trunk>,
    /// Each 3CX by its configured name.
    pub pac: BTreeMap<String, PacHandle>,
    /// The collector of each 3CX.
    pub collectors: BTreeMap<String, CollectorHandle>,
    /// The recordings of each 3CX that has them in a directory.
    pub recordings: BTreeMap<String, RecordingHandle>,
}

impl Integrations {
    /// Starts an actor for each resource that the settings name.
    ///
    /// # Errors
    /// When a setting turns out to be unusable. An integration that cannot be reached is no error.
    pub fn spawn(settings: &Settings, placement: Placement) -> Result<Self, InvalidPacAddress> {
        let stores = Stores::spawn(settings, placement);
        let mut asterisk = BTreeMap::new();
        let mut trunks = BTreeMap::new();
        let mut pacers = Pacers::default();
        for (name, section) in &settings.asterisk {
            let actor = format!("asterisk.{name}");
            let ari_settings = AriSettings {
                live_calls: stores.registry.register(&actor, section),
                name: actor,
                asterisk: section.clone(),
                ledger: stores.ledger.clone(),
                provisional_instance: provisional_instance(settings),
            };
            let handle = ari::spawn(ari_settings, placement);
            trunks.insert(name.clone(), pacers.trunk(handle.clone(), section));
            asterisk.insert(name.clone(), handle);
        }
        let mut pacs = BTreeMap::new();
        let mut collectors = BTreeMap::new();
        let mut recordings = BTreeMap::new();
        for (name, pbx) in &settings.pac {
            let pac = pac::spawn(name, pbx.clone(), placement)?;
            let collector = collector::spawn(name, pbx.clone(), pac.clone(), stores.cdr.clone(), placement);
            collectors.insert(name.clone(), collector);
            if let Some(RecordingPath::Directory(directory)) = &pbx.recording_path {
                recordings.insert(
                    name.clone(),
                    recordings::spawn(name, directory.clone(), placement),
                );
            }
            pacs.insert(name.clone(), pac);
        }
        Ok(Self {
            stores,
            asterisk,
            trunks,
            pac: pacs,
            collectors,
            recordings,
        })
    }

    /// Every actor, as operators have it.
    pub fn actors(&self) -> ActorRegistry {
        fn operated<H: Operate + Clone + 'static>(handles: &BTreeMap<String, H>) -> Vec<Arc<dyn Operate>> {
            let all = handles.values().cloned();
            all.map(|handle| Arc::new(handle) as Arc<dyn Operate>).collect()
        }
        let stores: [Arc<dyn Operate>; 2] = [
            Arc::new(self.stores.ledger.clone()),
            Arc::new(self.stores.cdr.clone()),
        ];
        stores
            .into_iter()
            .chain(operated(&self.asterisk))
            .chain(operated(&self.pac))
            .chain(operated(&self.collectors))
            .chain(operated(&self.recordings))
            .collect()
    }

    /// Waits until every actor is built, for a while.
    pub async fn built(&self) {
        let actors = self.actors();
        let running = join_all(actors.all().map(|actor| actor.health().reached(State::Running)));
        if timeout(BUILD_TIMEOUT, running).await.is_err() {
            tracing::warn!("not every actor is up; those that are answer");
        }
    }

    /// Stops everything, the stores after all that asks them; each has time of its own, so that one that hangs costs the
    /// others nothing. A collector and the PAC that it asks end together: the next start takes up what it had begun.
    pub async fn stop(&self, time_limit: Duration) {
        let deadline = Instant::now() + time_limit;
        join!(
            join_all(self.collectors.values().map(|handle| handle.stop(deadline))),
            join_all(self.asterisk.values().map(|handle| leave(handle, deadline))),
            join_all(self.pac.values().map(|handle| handle.stop(deadline))),
            join_all(self.recordings.values().map(|handle| handle.stop(deadline))),
        );
        let deadline = Instant::now() + STORE_TIMEOUT;
        if let Err(error) = ledger::flush(&self.stores.ledger, deadline).await {
            tracing::warn!(%error, "what became of the latest calls is not in the ledger");
        }
        join!(self.stores.ledger.stop(deadline), self.stores.cdr.stop(deadline));
    }
}

/// Stops the actor of an Asterisk, its event socket in order: with the actor's thread it would just break off.
async fn leave(asterisk: &AriHandle, deadline: Instant) {
    let soon = deadline.min(Instant::now() + LEAVE_TIMEOUT);
    if let Err(error) = asterisk.control(Leave, soon).await {
        tracing::debug!(actor = asterisk.name(), %error, "the event socket was not closed in order");
    }
    asterisk.stop(deadline).await;
}
