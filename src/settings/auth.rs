//! Who may do what, and what is kept of it.

use serde::Deserialize;

/// The audit of changes and refusals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// How long its entries are kept, in days.
    pub keep_days: u32,
}
