//! The real ends of a collector: a PAC and the CDR store, each behind its actor.

use std::time::Duration;

use tokio::time::Instant;

use super::ports::{CollectError, Source, Store};
use crate::actor::AskError;
use crate::cdr::{Apply, Batch, CdrHandle, CdrRange, Changes, GetPosition, ListDigests, Position};
use crate::database::StoreError;
use crate::pac::{ExecuteSql, PacHandle, Rows, Statement};

/// How long the store may take for one request.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// One 3CX through its actor.
#[derive(Debug, Clone)]
pub(super) struct PacSource {
    pub(super) pac: PacHandle,
    /// How long a statement may take.
    pub(super) timeout: Duration,
}

impl Source for PacSource {
    async fn query(&self, statement: Statement) -> Result<Rows, CollectError> {
        let name = statement.name();
        self.pac
            .ask(ExecuteSql { statement }, Instant::now() + self.timeout)
            .await
            .map_err(|error| CollectError::Source {
                statement: name,
                error,
            })
    }
}

/// The rows of one 3CX in the store, through its actor.
#[derive(Debug, Clone)]
pub(super) struct ActorStore {
    pub(super) cdr: CdrHandle,
    pub(super) pbx: String,
}

fn store_error(operation: &'static str) -> impl FnOnce(AskError<StoreError>) -> CollectError {
    move |error| CollectError::Store { operation, error }
}

impl Store for ActorStore {
    async fn apply(&self, batch: Batch) -> Result<Changes, CollectError> {
        let pbx = self.pbx.clone();
        let deadline = Instant::now() + STORE_TIMEOUT;
        let reply = self.cdr.ask(Apply { pbx, batch }, deadline).await;
        reply.map_err(store_error("apply"))
    }

    async fn position(&self) -> Result<Position, CollectError> {
        let pbx = self.pbx.clone();
        let deadline = Instant::now() + STORE_TIMEOUT;
        let reply = self.cdr.ask(GetPosition { pbx }, deadline).await;
        reply.map_err(store_error("position"))
    }

    async fn digests(&self, range: CdrRange) -> Result<Vec<(String, String)>, CollectError> {
        let pbx = self.pbx.clone();
        let deadline = Instant::now() + STORE_TIMEOUT;
        let reply = self.cdr.ask(ListDigests { pbx, range }, deadline).await;
        reply.map_err(store_error("digests"))
    }
}
