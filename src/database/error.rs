//! What can go wrong with a store.

use crate::actor::{Classify, FailureClass};

/// Why a store did not do what it was asked. Nothing was written, or all of it was. The words hold no values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection became free in time.
    #[error("the store's connections are all in use")]
    PoolTimeout,
    /// As many answers of more than one page wait for their readers as may.
    #[error("too many long answers are being read")]
    TooManyAnswers,
    /// The store is not open, so it was not asked.
    #[error("the store is not open: {0}")]
    NotOpen(String),
    /// The store cannot be reached or opened, or is not as this program knows it: a table is missing.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store refused a statement for what is in it.
    #[error("the store failed: {0}")]
    Query(String),
    /// The store holds something that makes no sense.
    #[error("the store holds a record that makes no sense: {0}")]
    Decode(String),
}

impl StoreError {
    /// Its actor has only begun.
    pub(crate) fn being_opened() -> Self {
        Self::NotOpen("it is being opened".to_owned())
    }
}

impl Classify for StoreError {
    fn failure_class(&self) -> FailureClass {
        match self {
            Self::NotOpen(_) => FailureClass::NotAsked,
            Self::PoolTimeout | Self::Unavailable(_) => FailureClass::Failed,
            // It answered: one statement or one row that is wrong, or readers that are slow, must not close it to all others.
            Self::Query(_) | Self::Decode(_) | Self::TooManyAnswers => FailureClass::Answered,
        }
    }
}
