//! One Asterisk.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::actor::Limits;
use crate::telephony::{DialplanContext, TrunkName};

/// Connections to ARI beside those of the requests: the event socket, and two for resynchronisation.
const OWN_CONNECTIONS: usize = 3;

/// Hang-ups at once: they have permits and connections of their own.
const HANGUPS: usize = 8;

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
    /// How many calls may live on the node at once: all that this gateway placed there.
    #[serde(default = "default_max_live_calls")]
    pub max_live_calls: usize,
    /// What the trunk itself allows.
    #[serde(default)]
    pub trunk_limits: TrunkLimits,
    /// How many originates at once.
    #[serde(default)]
    pub limits: Limits,
}

/// What a trunk allows, where that is less than Asterisk does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkLimits {
    /// How many calls may live at once; none: as many as on the node.
    pub live_calls: Option<usize>,
    /// How many calls may be placed in a second; none: as many as come.
    pub calls_per_s: Option<NonZeroU32>,
}

impl AsteriskSettings {
    /// Where ARI is, as a URL's beginning.
    pub fn ari_url(&self) -> String {
        // A bare IPv6 address has colons of its own.
        if self.host.contains(':') {
            format!("http://[{}]:{}/ari", self.host, self.port)
        } else {
            format!("http://{}:{}/ari", self.host, self.port)
        }
    }

    /// What tells this node from others: its address. Several sections may lead to one.
    pub fn node(&self) -> (String, u16) {
        (self.host.to_ascii_lowercase(), self.port)
    }

    /// How many hang-ups at once, and which wait.
    pub fn hangup_limits(&self) -> Limits {
        Limits {
            in_flight: HANGUPS,
            ..self.limits
        }
    }

    /// How many connections to ARI this section takes at most, its event socket included.
    pub fn connections(&self) -> usize {
        self.limits.in_flight + HANGUPS + OWN_CONNECTIONS
    }

    /// How long the first party may ring.
    pub fn ring_timeout(&self) -> Duration {
        Duration::from_secs(self.ring_timeout_s.into())
    }

    /// How long a request to ARI may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// What the Stasis application's name begins with.
    pub fn app_prefix(&self) -> &str {
        self.app_prefix.as_deref().unwrap_or(&self.user)
    }
}

defaults! {
    default_port: u16 = 8088;
    default_max_live_calls: usize = 1_000;
    default_ring_timeout_s: u32 = 30;
    default_request_timeout_ms: u64 = 5_000;
}
