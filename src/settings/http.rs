//! The HTTP server and the logs.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

/// The HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The address; beyond loopback only with keys or trusted clients.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What every path begins with, but for health, metrics and documents; may be empty.
    pub prefix: String,
    /// Origins whose pages may call the gateway from a browser.
    pub allowed_origins: Vec<String>,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long open requests get at a shutdown, in milliseconds.
    pub shutdown_ms: u64,
}

impl HttpSettings {
    /// The prefix as paths begin with it: nothing, or `/` and text without one at its end.
    #[must_use]
    pub fn base_path(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        }
    }

    /// How long a request may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long open requests get at a shutdown.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_ms)
    }
}

/// Logs, on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// A level, or directives as `RUST_LOG` has them.
    pub filter: String,
    /// Their form.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
