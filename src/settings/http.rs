//! The HTTP server and the logs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::HttpUrl;

/// The HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The address; beyond loopback only with keys or trusted clients.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Whether TLS is spoken.
    pub scheme: Scheme,
    /// The certificate chain in PEM, the server's own first; for `https`.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key in PEM; for `https`.
    pub tls_key: Option<PathBuf>,
    /// What every path begins with, but for health, metrics and documents; may be empty.
    pub prefix: String,
    /// Origins whose pages may call the gateway from a browser.
    pub allowed_origins: Vec<String>,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long requests are still taken at a shutdown, while `/readyz` says not to send any, in milliseconds.
    pub drain_ms: u64,
    /// How long open requests get at a shutdown after that, in milliseconds.
    pub shutdown_ms: u64,
    /// Where clients reach the gateway, before its prefix.
    #[serde(default)]
    pub public_url: Option<HttpUrl>,
    /// How long a link to a recording works, in seconds; 0 until the signing key is rotated.
    pub link_lifetime_s: u64,
}

/// What the gateway speaks.
#[derive(derive_more::Display, Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HTTP/1.1 in clear.
    #[display("http")]
    Http,
    /// HTTP/1.1 over TLS.
    #[display("https")]
    Https,
}

impl HttpSettings {
    /// The prefix as paths begin with it: nothing, or `/` and text without one at its end.
    pub fn base_path(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        }
    }

    /// What links to the gateway begin with: where clients reach it, or else where it listens, and the prefix.
    pub fn link_root(&self) -> String {
        let listens = || format!("{}://{}", self.scheme, SocketAddr::new(self.address, self.port));
        let server = self.public_url.as_ref().map_or_else(listens, ToString::to_string);
        server + &self.base_path()
    }

    /// How long a link to a recording works; none is until the signing key is rotated.
    pub fn link_lifetime(&self) -> Option<Duration> {
        (self.link_lifetime_s > 0).then(|| Duration::from_secs(self.link_lifetime_s))
    }

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long requests are still taken at a shutdown, while `/readyz` says not to send any.
    pub fn drain_time(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// How long open requests get at a shutdown after that.
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
