//! What a collector reads from and writes to.

use std::future::Future;
use std::time::Duration;

use crate::actor::AskError;
use crate::cdr::{Batch, CdrRange, Changes, Position};
use crate::database::StoreError;
use crate::pac::{PacError, Rows, Statement};

/// Why a poll ended before its end. What it stored until then stays stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// PAC did not answer.
    #[error("{statement}: {error}")]
    Source {
        /// The statement's name.
        statement: &'static str,
        /// What came instead.
        error: AskError<PacError>,
    },
    /// PAC answered something else than it was asked.
    #[error("{statement}: the answer makes no sense: {reason}")]
    Unexpected {
        /// The statement's name.
        statement: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Rows did not arrive, or altered; the rest is stored, they are asked for again.
    #[error("{rows} rows did not arrive, or altered")]
    Garbled {
        /// How many.
        rows: u64,
    },
    /// The store did not do what it was asked.
    #[error("{operation}: {error}")]
    Store {
        /// What it was asked.
        operation: &'static str,
        /// What came instead.
        error: AskError<StoreError>,
    },
    /// The whole poll took too long.
    #[error("took longer than {} s", limit.as_secs())]
    TooLong {
        /// How long it may take.
        limit: Duration,
    },
    /// The poll ended in a panic, which is counted with the actor's.
    #[error("ended in a panic")]
    Panicked,
}

/// Where rows come from.
pub(super) trait Source {
    /// The rows that `statement` selects.
    ///
    /// # Cancel safety
    /// Only reads.
    fn query(&self, statement: Statement) -> impl Future<Output = Result<Rows, CollectError>>;
}

/// Where rows go.
pub(super) trait Store {
    /// See [`CdrStore::apply`](crate::cdr::CdrStore::apply).
    fn apply(&self, batch: Batch) -> impl Future<Output = Result<Changes, CollectError>>;

    /// See [`CdrStore::position`](crate::cdr::CdrStore::position).
    fn position(&self) -> impl Future<Output = Result<Position, CollectError>>;

    /// See [`CdrStore::digests`](crate::cdr::CdrStore::digests).
    fn digests(&self, range: CdrRange) -> impl Future<Output = Result<Vec<(String, String)>, CollectError>>;
}
