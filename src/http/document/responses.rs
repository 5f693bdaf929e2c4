//! The error responses of operations, made from the table of codes.

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{Components, Ref, RefOr, Response, ResponseBuilder};

use crate::http::error::{ApiError, ErrorCode};
use crate::http::render::{OriginalError, PROBLEM_MEDIA_TYPE, Problem};

/// Responses by status.
pub(in crate::http) type Responses = BTreeMap<String, RefOr<Response>>;

/// Declares the errors of operations for `#[utoipa::path]`: for each a type with the responses for these codes, in the
/// original's shape (`original_responses`) or as problem documents (`problem_responses`).
macro_rules! error_responses {
    ($($(#[$about:meta])* $visibility:vis $name:ident, $shape:ident, [$($code:ident),+ $(,)?];)+) => {$(
        $(#[$about])*
        $visibility struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::http::document::$shape(&[$($crate::http::error::ErrorCode::$code),+])
            }
        }
    )+};
}
pub(in crate::http) use error_responses;

error_responses! {
    /// What can be wrong with a body of the original's routes before anybody is asked.
    pub(in crate::http) BodyErrors, original_responses, [InvalidRequest, RequestTimeout, PayloadTooLarge];
    /// What can become of a read of the CDR store on the original's routes.
    pub(in crate::http) ReadErrors, original_responses, [
        NotConfigured, Saturated, CircuitOpen, Paused, Restarting, Failed, Interrupted, DeadlineExceeded,
        StoreUnavailable, StoreFailed, StoreDamaged,
    ];
}

/// Responses in the original's shape.
pub(in crate::http) fn original_responses(codes: &[ErrorCode]) -> Responses {
    let example = |error: &ApiError| {
        let (id, path) = (REQUEST_ID.to_owned(), "/pbx-api/…".to_owned());
        let mut body = json!(OriginalError::new(error, id, &Method::POST, path));
        // The document is the same at any time.
        body["timestamp"] = json!("2026-11-22T10:18:21.942Z");
        body
    };
    responses(codes, "application/json", &OriginalError::name(), example)
}

/// Responses as problem documents.
pub(in crate::http) fn problem_responses(codes: &[ErrorCode]) -> Responses {
    let example = |error: &ApiError| json!(Problem::new(error, REQUEST_ID.to_owned()));
    responses(codes, PROBLEM_MEDIA_TYPE, &Problem::name(), example)
}

const REQUEST_ID: &str = "01970f3e-6b1c-7c1e-9d5a-3f1f0c8b7a21";

fn responses(
    codes: &[ErrorCode],
    media_type: &str,
    schema: &str,
    example: impl Fn(&ApiError) -> Value,
) -> Responses {
    let mut by_status: BTreeMap<String, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status
            .entry(code.status().as_str().to_owned())
            .or_default()
            .push(*code);
    }
    let response = |codes: Vec<ErrorCode>| {
        let words: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.as_str(), code.advice()))
            .collect();
        let examples = codes.iter().map(|code| {
            let value = example(&code.error(code.advice()));
            let shown = ExampleBuilder::new().summary(code.as_str()).value(Some(value));
            (code.as_str(), shown.build())
        });
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .examples_from_iter(examples)
            .build();
        ResponseBuilder::new()
            .description(words.join("\n\n"))
            .content(media_type, content)
            .build()
    };
    by_status
        .into_iter()
        .map(|(status, codes)| (status, RefOr::T(response(codes))))
        .collect()
}

/// What every operation that needs a key can answer before it is carried out.
const ACCESS: &[ErrorCode] = &[
    ErrorCode::Unauthenticated,
    ErrorCode::ScopeMissing,
    ErrorCode::NotFound,
    ErrorCode::RateLimited,
    ErrorCode::KeysUnavailable,
];

/// Adds the refusals of callers to an operation's own responses.
pub(super) fn add_refusals(own: &mut Responses, has_problems: bool) {
    let refusals = if has_problems {
        problem_responses(ACCESS)
    } else {
        original_responses(ACCESS)
    };
    for (status, refusal) in refusals {
        match (own.get_mut(&status), refusal) {
            (Some(RefOr::T(own)), RefOr::T(refusal)) => {
                own.description.push_str("\n\n");
                own.description.push_str(&refusal.description);
                for (media_type, content) in refusal.content {
                    match (own.content.get_mut(&media_type), content) {
                        (Some(RefOr::T(own)), RefOr::T(more)) => own.examples.extend(more.examples),
                        (_, content) => {
                            own.content.insert(media_type, content);
                        }
                    }
                }
            }
            (_, refusal) => {
                own.insert(status, refusal);
            }
        }
    }
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
