//! The real ends of a collector: a PAC and the CDR store, each behind its actor.

use std::time::Duration;

use tokio::time::Instant;

use super::ports::{CollectError, Source};
use crate::pac::{ExecuteSql, PacHandle, Rows, Statement};

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
