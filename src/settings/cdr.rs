//! How CDRs are served.

use serde::Deserialize;

/// The original's routes for CDRs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdrSettings {
    /// Whether a client that polls with a call id that it was handed out gets what was stored since, long calls with
    /// smaller ids included.
    pub late_rows: bool,
}
