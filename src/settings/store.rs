//! Where CDRs and the ledger are kept.

use std::path::PathBuf;

use serde::Deserialize;

use crate::actor::Limits;

/// Both stores.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:FILE` or `postgres://…`.
    pub url: StoreUrl,
    /// Connections for reading.
    pub connections: usize,
    /// How long a request to a store may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many requests at once, for each of the two.
    pub limits: Limits,
}

/// Which kind of store, and where. `Debug` shows no password.
#[derive(derive_more::Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// Two files: this one for CDRs, and one beside it whose name ends in `-ledger` for the ledger.
    Sqlite(PathBuf),
    /// One database.
    Postgres(#[debug("…")] String),
}

/// A store URL of neither kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct InvalidStoreUrl;

impl TryFrom<String> for StoreUrl {
    type Error = InvalidStoreUrl;

    fn try_from(text: String) -> Result<Self, InvalidStoreUrl> {
        match text.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Sqlite(file.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Self::Postgres(text)),
            _ => Err(InvalidStoreUrl),
        }
    }
}
