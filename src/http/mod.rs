//! The HTTP layer: parse, ask an actor, answer. It holds no connection to anything.

mod access;
mod body;
mod connection;
mod document;
mod error;
mod legacy_row;
mod lifecycle;
mod observe;
mod recording_links;
mod render;
mod request_id;
mod routes;
mod security_headers;
mod server;
mod site;
mod state;
#[cfg(test)]
mod tests;
mod tls;

pub use error::ErrorCode;
pub use lifecycle::{Lifecycle, Phase};
pub(crate) use routes::{ActorStatus, Integration, IntegrationList};
pub use server::serve;
pub use tls::{CertificateError, Tls};

/// The OpenAPI document of all routes, as indented JSON; `base` is what the API's paths begin with, empty or `/…`.
pub fn openapi(base: &str) -> String {
    format!("{:#}", serde_json::json!(routes::describe(base)))
}
