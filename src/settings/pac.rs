//! One 3CX, reached through its PAC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::HttpUrl;
use crate::actor::Limits;

/// One 3CX.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacSettings {
    /// PAC's gRPC, `host:port`, HTTP/2 in clear text.
    pub address: String,
    /// How many digits its extensions have, where all have as many.
    #[serde(default)]
    pub extension_length: Option<usize>,
    /// Where its recordings are.
    #[serde(default)]
    pub recording_path: Option<RecordingPath>,
    /// How long a request to PAC may take, in milliseconds.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// The largest reply that is read, in bytes.
    #[serde(default = "default_max_reply_bytes")]
    pub max_reply_bytes: usize,
    /// The token PAC asks for, where it does.
    #[serde(default)]
    pub jwt: Option<JwtSettings>,
    /// How many requests at once.
    #[serde(default)]
    pub limits: Limits,
    /// The collection of its CDRs.
    #[serde(default)]
    pub collector: CollectorSettings,
}

impl PacSettings {
    /// How long a request to PAC may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// Where the recordings of a 3CX are, in folders as 3CX has them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum RecordingPath {
    /// On another server, which serves them below this address.
    Server(HttpUrl),
    /// In a directory of this machine.
    Directory(PathBuf),
}

/// Neither such an address nor such a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https address, or the absolute path of a directory")]
pub struct InvalidRecordingPath;

impl TryFrom<String> for RecordingPath {
    type Error = InvalidRecordingPath;

    fn try_from(text: String) -> Result<Self, InvalidRecordingPath> {
        if Path::new(&text).is_absolute() {
            let control = text.chars().any(char::is_control);
            return if control {
                Err(InvalidRecordingPath)
            } else {
                Ok(Self::Directory(text.into()))
            };
        }
        HttpUrl::try_from(text)
            .map(Self::Server)
            .map_err(|_| InvalidRecordingPath)
    }
}

/// PAC's bearer token: a JWT signed with a shared key, made anew before it expires.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    /// The shared key.
    pub key: SecretString,
    /// The `clientId` claim.
    pub client_id: String,
    /// The `iss` claim.
    #[serde(default = "default_issuer")]
    pub issuer: String,
    /// The `aud` claim.
    #[serde(default = "default_audience")]
    pub audience: String,
}

/// How CDRs are collected from one 3CX.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorSettings {
    /// Between two polls of the window, in milliseconds.
    pub interval_ms: u64,
    /// How far the window reaches back behind the previous poll, in seconds.
    pub overlap_s: u64,
    /// The longest leg that the window itself finds, in hours; longer ones are the sweep's.
    pub longest_leg_h: u64,
    /// Between two sweeps, in milliseconds.
    pub sweep_interval_ms: u64,
    /// How far back a sweep compares, in hours.
    pub sweep_horizon_h: u64,
    /// How far back the first backfill goes, in days.
    pub backfill_days: u64,
    /// Rows asked for at once.
    pub page_rows: usize,
}

impl Default for CollectorSettings {
    fn default() -> Self {
        Self {
            interval_ms: 10_000,
            overlap_s: 600,
            longest_leg_h: 24,
            sweep_interval_ms: 600_000,
            sweep_horizon_h: 48,
            backfill_days: 30,
            page_rows: 200,
        }
    }
}

defaults! {
    default_request_timeout_ms: u64 = 10_000;
    default_max_reply_bytes: usize = 4 * 1024 * 1024;
    default_issuer: String = "pac".to_owned();
    default_audience: String = "onvoip.ru".to_owned();
}
