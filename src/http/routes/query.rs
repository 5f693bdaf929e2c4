//! What the queries of lists have in common. A parameter is a text until [`field`] has read it, so that a refusal names it.

use crate::http::error::ApiError;

/// How many items a list has, if the request does not say.
const LIMIT: u32 = 100;

/// A parameter, where there is one; `allowed` is what it must be.
pub(super) fn field<T>(
    name: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    allowed: &str,
) -> Result<Option<T>, ApiError> {
    let value = text.map(|text| parse(&text).ok_or_else(|| format!("{name} must be {allowed}")));
    value.transpose().map_err(ApiError::invalid)
}

/// How many items to list, at most 1,000.
pub(super) fn limit(text: Option<String>) -> Result<u32, ApiError> {
    let fits = |text: &str| text.parse().ok().filter(|limit| (1..=1_000).contains(limit));
    Ok(field("limit", text, fits, "1 to 1000")?.unwrap_or(LIMIT))
}
