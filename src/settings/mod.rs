//! The configuration as the program uses it: typed, complete, checked. `config/default.toml` documents every key.

/// Makes functions of defaults, as serde takes them.
macro_rules! defaults {
    ($($name:ident: $type:ty = $value:expr;)+) => {
        $(fn $name() -> $type { $value })+
    };
}

mod asterisk;
mod auth;
mod cdr;
mod error;
mod http;
mod keys;
mod load;
mod pac;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod url;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

pub use asterisk::{AsteriskSettings, TrunkLimits};
pub(crate) use auth::is_key_name;
pub use auth::{AuditSettings, AuthSettings, RateSettings, TrustEntry};
pub use cdr::CdrSettings;
pub use error::{Problem, SettingsError};
pub use http::{HttpSettings, LogFormat, LogSettings, Scheme};
pub use pac::{CollectorSettings, InvalidRecordingPath, JwtSettings, PacSettings, RecordingPath};
pub use sources::Sources;
pub use store::{InvalidStoreUrl, Ssl, SslMode, StoreSettings, StoreUrl};
pub use url::{HttpUrl, InvalidHttpUrl};

/// The integration that the original's variables and routes mean, where there are several.
const MAIN: &str = "main";

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub http: HttpSettings,
    /// Logs.
    pub log: LogSettings,
    /// Who may do what.
    pub auth: AuthSettings,
    /// What is kept of changes and refusals.
    pub audit: AuditSettings,
    /// Where CDRs and the ledger are kept.
    pub store: StoreSettings,
    /// How CDRs are served.
    pub cdr: CdrSettings,
    /// Each Asterisk by name.
    #[serde(default)]
    pub asterisk: BTreeMap<String, AsteriskSettings>,
    /// Each 3CX, through its PAC, by name.
    #[serde(default)]
    pub pac: BTreeMap<String, PacSettings>,
}

impl Settings {
    /// The names of all PBXs, those of both kinds: what a key may be limited to.
    pub fn pbx_names(&self) -> BTreeSet<String> {
        self.asterisk.keys().chain(self.pac.keys()).cloned().collect()
    }

    /// The Asterisk that the original's routes mean: the only one, or the one named `main`; with its name.
    pub fn default_asterisk(&self) -> Option<(&str, &AsteriskSettings)> {
        default_of(&self.asterisk)
    }

    /// The 3CX that the original's routes mean: the only one, or the one named `main`; with its name.
    pub fn default_pac(&self) -> Option<(&str, &PacSettings)> {
        default_of(&self.pac)
    }
}

fn default_of<T>(entries: &BTreeMap<String, T>) -> Option<(&str, &T)> {
    let entry = match entries.len() {
        1 => entries.first_key_value(),
        _ => entries.get_key_value(MAIN),
    };
    entry.map(|(name, settings)| (name.as_str(), settings))
}
