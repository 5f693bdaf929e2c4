//! The whole gateway: its actors, and the server before them.

mod application;
mod drain;
mod gateway;
mod integrations;
mod stores;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

pub use application::Application;
pub use integrations::Integrations;
pub use stores::{Stores, cdr_store, ledger_settings};

use crate::http::CertificateError;
use crate::pac::InvalidPacAddress;
use crate::telemetry::TelemetryError;

/// How long the actors may take to be built. None of them waits for its integration.
const BUILD_PATIENCE: Duration = Duration::from_secs(5);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A 3CX has an address that is none.
    #[error("pac.{0}: {1}")]
    PacAddress(String, InvalidPacAddress),
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
