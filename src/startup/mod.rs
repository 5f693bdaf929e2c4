//! The whole gateway: its actors, and the server before them.

mod application;
mod drain;

use std::io;
use std::net::IpAddr;

pub use application::Application;

use crate::http::CertificateError;
use crate::pac::InvalidPacAddress;
use crate::telemetry::TelemetryError;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A 3CX has an address that is none.
    #[error(transparent)]
    PacAddress(#[from] InvalidPacAddress),
    /// The port is taken or not ours to take.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] CertificateError),
    /// Anybody could reach it, and nobody could be told apart.
    #[error(
        "http.address is {0}, which others reach, and nobody could use the gateway: make a key (mege-gateway keys create), \
         or name trusted clients (auth.trust), or listen on 127.0.0.1"
    )]
    NoKeys(IpAddr),
    /// Metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}
