//! The configuration as the program uses it: typed, complete, checked. `config/default.toml` documents every key.

mod asterisk;
mod http;
mod pac;
mod store;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use asterisk::AsteriskSettings;
pub use http::{HttpSettings, LogFormat, LogSettings};
pub use pac::{CollectorSettings, JwtSettings, PacSettings};
pub use store::{InvalidStoreUrl, StoreSettings, StoreUrl};

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub http: HttpSettings,
    /// Logs.
    pub log: LogSettings,
    /// Where CDRs and the ledger are kept.
    pub store: StoreSettings,
    /// Each Asterisk by name.
    #[serde(default)]
    pub asterisk: BTreeMap<String, AsteriskSettings>,
    /// Each 3CX, through its PAC, by name.
    #[serde(default)]
    pub pac: BTreeMap<String, PacSettings>,
}
