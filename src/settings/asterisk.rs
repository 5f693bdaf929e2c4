//! One Asterisk.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::actor::Limits;
use crate::telephony::{DialplanContext, TrunkName};

/// One Asterisk and the way through it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsteriskSettings {
    /// Where ARI listens.
    pub host: String,
    /// ARI's port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// ARI's user.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// What the Stasis application's name begins with; the gateway's instance follows. The user's name by default.
    #[serde(default)]
    pub app_prefix: Option<String>,
    /// The PJSIP endpoint that leads to the extensions' PBX.
    pub trunk: TrunkName,
    /// The dialplan context that calls the external number.
    pub context: DialplanContext,
    /// How long the first party may ring, in seconds.
    #[serde(default = "default_ring_timeout_s")]
    pub ring_timeout_s: u32,
    /// How long a request to ARI may take, in milliseconds.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// How many requests at once.
    #[serde(default)]
    pub limits: Limits,
}

impl AsteriskSettings {
    /// Where ARI is, as a URL's beginning.
    #[must_use]
    pub fn ari_url(&self) -> String {
        // A bare IPv6 address has colons of its own.
        if self.host.contains(':') {
            format!("http://[{}]:{}/ari", self.host, self.port)
        } else {
            format!("http://{}:{}/ari", self.host, self.port)
        }
    }

    /// How long the first party may ring.
    #[must_use]
    pub fn ring_timeout(&self) -> Duration {
        Duration::from_secs(self.ring_timeout_s.into())
    }

    /// How long a request to ARI may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// What the Stasis application's name begins with.
    #[must_use]
    pub fn app_prefix(&self) -> &str {
        self.app_prefix.as_deref().unwrap_or(&self.user)
    }
}

fn default_port() -> u16 {
    8088
}

fn default_ring_timeout_s() -> u32 {
    30
}

fn default_request_timeout_ms() -> u64 {
    5_000
}
