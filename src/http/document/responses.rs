//! The error responses of operations, made from the table of codes.

use std::collections::{BTreeMap, HashSet};
use std::mem;

use actix_web::http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{Components, Ref, RefOr, Response, ResponseBuilder};

use crate::http::error::ErrorCode;
use crate::http::render::{OriginalError, PROBLEM_MEDIA_TYPE, Problem};

/// Responses by status.
pub(in crate::http) type Responses = BTreeMap<String, RefOr<Response>>;

/// Declares errors of operations for `#[utoipa::path]`: for each list a type, of which an operation may name several.
macro_rules! error_responses {
    ($($(#[$about:meta])* $visibility:vis $name:ident [$($code:ident),+ $(,)?];)+) => {$(
        $(#[$about])*
        $visibility struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::http::document::listed(stringify!($name), &[$($crate::http::error::ErrorCode::$code),+])
            }
        }
    )+};
}
pub(in crate::http) use error_responses;

error_responses! {
    /// What can be wrong with a body before anybody is asked.
    pub(in crate::http) BodyErrors [InvalidRequest, RequestTimeout, PayloadTooLarge];
    /// What can become of asking an actor for what may be repeated.
    pub(in crate::http) AskErrors [
        Saturated, CircuitOpen, Paused, Restarting, Failed, Interrupted, DeadlineExceeded,
    ];
    /// What a store may answer.
    pub(in crate::http) StoreErrors [StoreUnavailable, StoreFailed, StoreDamaged];
    /// No integration of the kind is there.
    pub(in crate::http) NotConfiguredError [NotConfigured];
    /// A query is wrong.
    pub(in crate::http) QueryError [InvalidRequest];
    /// It concerns every PBX.
    pub(in crate::http) LimitedError [KeyLimited];
}

/// What every operation that needs a key can answer before it is carried out.
const ACCESS: [ErrorCode; 6] = [
    ErrorCode::Unauthenticated,
    ErrorCode::ScopeMissing,
    ErrorCode::NotFound,
    ErrorCode::RateLimited,
    ErrorCode::Saturated,
    ErrorCode::KeysUnavailable,
];

/// A list of codes on its way into the document: by its name in place of a status, until [`add_errors`].
pub(in crate::http) fn listed(name: &str, codes: &[ErrorCode]) -> Responses {
    let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let list = ResponseBuilder::new().description(codes.join(" ")).build();
    BTreeMap::from([(name.to_owned(), RefOr::T(list))])
}

/// Makes responses of an operation's lists of codes, and of the refusals of callers where it takes a key.
pub(super) fn add_errors(own: &mut Responses, takes_key: bool, has_problems: bool) {
    let is_list = |status: &String| status.parse::<u16>().is_err();
    let (lists, kept): (Responses, Responses) = mem::take(own)
        .into_iter()
        .partition(|(status, _)| is_list(status));
    *own = kept;
    let mut codes = HashSet::new();
    for list in lists.values() {
        if let RefOr::T(list) = list {
            codes.extend(list.description.split(' '));
        }
    }
    if takes_key {
        codes.extend(ACCESS.map(ErrorCode::as_str));
    }
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| codes.contains(code.as_str())) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        own.insert(status.to_string(), response(&codes, has_problems).into());
    }
}

/// What is sent with one status for any of these codes: below `/v1` problem documents, otherwise the original's shape.
fn response(codes: &[ErrorCode], has_problems: bool) -> Response {
    let words: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.as_str(), code.advice()))
        .collect();
    let examples = codes.iter().map(|code| {
        let shown = ExampleBuilder::new()
            .summary(code.as_str())
            .value(Some(example(*code, has_problems)));
        (code.as_str(), shown.build())
    });
    let (media_type, schema) = if has_problems {
        (PROBLEM_MEDIA_TYPE, Problem::name())
    } else {
        ("application/json", OriginalError::name())
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(examples)
        .build();
    ResponseBuilder::new()
        .description(words.join("\n\n"))
        .content(media_type, content)
        .build()
}

fn example(code: ErrorCode, has_problems: bool) -> Value {
    let (error, id) = (
        code.error(code.advice()),
        "01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21".to_owned(),
    );
    if has_problems {
        return json!(Problem::new(&error, id));
    }
    let mut body = json!(OriginalError::new(
        &error,
        id,
        &Method::POST,
        "/pbx-api/…".to_owned()
    ));
    // The document is the same at any time.
    body["timestamp"] = json!("2026-11-22T10:18:21.942Z");
    body
}

/// The schemas that the responses refer to.
pub(super) fn add_schemas(components: &mut Components) {
    fn add<T: ToSchema>(components: &mut Components) {
        components.schemas.insert(T::name().into_owned(), T::schema());
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        components.schemas.extend(parts);
    }
    add::<OriginalError>(components);
    add::<Problem>(components);
}
