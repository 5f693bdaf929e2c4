//! Whom work is done for.

use std::sync::Arc;

/// A client: the same for all of its requests, and told from others as well as can be. It is no secret.
#[derive(derive_more::Display, Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The client of that name, which no other has.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
