//! `mege-gateway openapi`.

use std::path::PathBuf;

use super::{CommandError, say, settings};
use crate::http;

/// Prints the OpenAPI document of a gateway with these settings, which decide on what its paths begin with.
///
/// # Errors
/// When the configuration cannot be used.
pub fn openapi(file: Option<PathBuf>) -> Result<(), CommandError> {
    let settings = settings(file)?;
    say(&http::openapi(&settings.http.base_path()))?;
    Ok(())
}
