//! The real ends of a collector: a PAC and the CDR store, each behind its actor.

use std::time::Duration;

use actix::Handler;
use tokio::time::Instant;

use super::interface::{CollectError, Source, Store};
use crate::actor::{Ask, Request};
use crate::cdr::actor::CdrActor;
use crate::cdr::{
    Apply, Batch, CdrHandle, CdrRange, Changes, GetPosition, ListDigests, Position, RemovePosition,
};
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

/// A store for a backfill beside a collector: rows go to those of its 3CX, the position under a name of its own.
#[derive(Debug, Clone)]
pub(super) struct RangeStore {
    pub(super) rows: ActorStore,
    /// Its name, in place of a 3CX's.
    pub(super) place: ActorStore,
}

impl ActorStore {
    async fn ask<M>(&self, message: M) -> Result<M::Reply, CollectError>
    where
        M: Request<Error = StoreError>,
        CdrActor: Handler<Ask<M>>,
    {
        let reply = self.cdr.ask(message, Instant::now() + STORE_TIMEOUT).await;
        let operation = M::OPERATION;
        reply.map_err(|error| CollectError::Store { operation, error })
    }
}

impl RangeStore {
    /// Removes the position.
    pub(super) async fn forget(&self) -> Result<(), CollectError> {
        let name = self.place.pbx.clone();
        self.place.ask(RemovePosition { name }).await
    }
}

impl Store for RangeStore {
    /// The rows, then the position, each in a transaction: a death between them costs a repetition.
    async fn apply(&self, mut batch: Batch) -> Result<Changes, CollectError> {
        let position = batch.position.take();
        let mut changes = Changes::default();
        if !batch.cdrs.is_empty() || !batch.recordings.is_empty() {
            changes = self.rows.apply(batch).await?;
        }
        if position.is_some() {
            let place = Batch {
                position,
                ..Batch::default()
            };
            self.place.apply(place).await?;
        }
        Ok(changes)
    }

    async fn position(&self) -> Result<Position, CollectError> {
        self.place.position().await
    }

    async fn digests(&self, range: CdrRange) -> Result<Vec<(String, String)>, CollectError> {
        self.rows.digests(range).await
    }
}

impl Store for ActorStore {
    async fn apply(&self, batch: Batch) -> Result<Changes, CollectError> {
        let pbx = self.pbx.clone();
        self.ask(Apply { pbx, batch }).await
    }

    async fn position(&self) -> Result<Position, CollectError> {
        let pbx = self.pbx.clone();
        self.ask(GetPosition { pbx }).await
    }

    async fn digests(&self, range: CdrRange) -> Result<Vec<(String, String)>, CollectError> {
        let pbx = self.pbx.clone();
        self.ask(ListDigests { pbx, range }).await
    }
}
