//! The OpenAPI document: made from the very registration of the routes, so neither can be without the other.

mod responses;

use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Info, OpenApi, PathItem};

pub(super) use responses::{
    AskErrors, BodyErrors, LimitedError, NotConfiguredError, QueryError, StoreErrors, error_responses, listed,
};

use super::access::KEY;
use super::error::ErrorCode;

/// The same key in a header of its own.
const KEY_HEADER: &str = "key_header";

/// The documents as they are served.
#[derive(Debug)]
pub(super) struct Documents {
    /// All routes, as JSON.
    pub(super) all: Bytes,
    /// The original's routes, as JSON.
    pub(super) original: Bytes,
}

impl Documents {
    /// Those of a server with this document of all routes, whose API's paths begin with `base`.
    pub(super) fn new(all: &Value, base: &str) -> Self {
        let mut original = all.clone();
        let prefix = format!("{base}/pbx-api/");
        if let Some(paths) = original.get_mut("paths").and_then(Value::as_object_mut) {
            paths.retain(|path, _| path.starts_with(&prefix));
        }
        Self {
            all: all.to_string().into(),
            original: original.to_string().into(),
        }
    }
}

/// Adds to the document of all routes what they have in common; `base` is what the API's paths begin with.
pub(super) fn complete(mut document: OpenApi, base: &str) -> OpenApi {
    document.info = Info::builder()
        .title("Mege API Gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(introduction()))
        .build();
    let components = document.components.get_or_insert_default();
    responses::add_schemas(components);
    components.add_security_scheme(
        KEY,
        SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A key made by `mege-gateway keys create`."))
                .build(),
        ),
    );
    components.add_security_scheme(
        KEY_HEADER,
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "X-API-Key",
            "The same key, for clients that cannot set Authorization.",
        ))),
    );
    let own_api = format!("{base}/v1/");
    for (path, item) in &mut document.paths.paths {
        let has_problems = path.starts_with(&own_api);
        operations(item).for_each(|operation| describe_access(operation, has_problems));
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.head,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// Adds the errors of an operation, and the other header that a key may come in, where it takes one.
fn describe_access(operation: &mut Operation, has_problems: bool) {
    let security = operation.security.get_or_insert_default();
    let scopes: Vec<Value> = security
        .iter()
        .filter_map(|requirement| json!(requirement).get(KEY).cloned())
        .collect();
    responses::add_errors(
        &mut operation.responses.responses,
        !scopes.is_empty(),
        has_problems,
    );
    for scopes in scopes {
        let scopes: Vec<String> = serde_json::from_value(scopes).unwrap_or_default();
        security.push(SecurityRequirement::new(KEY_HEADER, scopes));
    }
}

/// What the document begins with, the table of codes included.
fn introduction() -> String {
    let mut text = String::from(
        "One gateway between call-centre software and a company's PBXs: 3CX and Asterisk.\n\n\
         Every reply has an `X-Request-Id`. Errors below `/v1` are problem documents (RFC 9457); those of the \
         original's routes have its shape, with the same codes.\n\n\
         | code | status | again? | meaning |\n|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let again = if code.retryable() { "yes" } else { "no" };
        text.push_str(&format!(
            "| `{}` | {} | {again} | {} |\n",
            code.as_str(),
            code.status().as_u16(),
            code.advice()
        ));
    }
    text
}
