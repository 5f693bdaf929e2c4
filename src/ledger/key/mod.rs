//! API keys: who may do what, and what was done with the keys themselves.

mod api_key;
mod audit;
mod audit_log;
mod handlers;
mod maintenance;
mod messages;
mod ring;
mod scope;
mod secret;

#[cfg(test)]
pub(super) use api_key::tests::api_key;
pub use api_key::{ApiKey, InvalidKey, KeyId, NewKey};
pub use audit::{AuditAction, AuditEntry, AuditId, Principal};
pub use audit_log::AuditLog;
pub(super) use maintenance::Maintenance;
pub use messages::{
    CreateKey, CreatedKey, KeyError, ListAudit, ListKeys, MAX_AUDIT, MAX_KEYS, RevokeKey, RotateLinkKey,
};
pub use ring::{KeyRing, Known, RingState};
pub use scope::Scope;
pub use secret::{KeySecret, LinkKey, SecretDigest};

/// The time as the stores keep it, in whole microseconds: what was written is equal to what is read.
fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
