//! The pages on which the documents are read, and the documents. Everything is embedded: no other host is asked.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use crate::http::error::{ApiError, ErrorCode};
use crate::http::security_headers::PAGE_POLICY;
use crate::http::state::AppState;

/// The page around Swagger UI. Links are relative, so that it works behind a proxy that adds a path.
const PAGE: &str = include_str!("documents/page.html");
const STYLE: &str = include_str!("documents/errors.css");
/// What starts Swagger UI on each page.
const REFERENCE: &str = include_str!("documents/reference.js");
const ORIGINAL: &str = include_str!("documents/original.js");

/// How long a browser may keep what only changes with the version, in seconds.
const ASSET_AGE: &str = "public, max-age=3600";

/// The OpenAPI document of every route.
#[utoipa::path(tag = "documents", security(()), responses((status = 200, description = "The document.", content_type = "application/json")))]
#[get("/openapi.json")]
pub(super) async fn openapi(state: web::Data<AppState>) -> HttpResponse {
    json(&state.documents.all)
}

/// The page on which the document of every route can be read and tried.
#[utoipa::path(tag = "documents", security(()), responses((status = 200, description = "The page.", content_type = "text/html")))]
#[get("/docs")]
pub(super) async fn reference() -> HttpResponse {
    html(
        PAGE.replace("{title}", "Mege API Gateway")
            .replace("{script}", "reference.js"),
    )
}

/// The page that explains every error code.
#[utoipa::path(tag = "documents", security(()), responses((status = 200, description = "The page.", content_type = "text/html")))]
#[get("/docs/errors")]
pub(super) async fn error_codes() -> HttpResponse {
    let rows: String = ErrorCode::ALL
        .iter()
        .map(|code| {
            let again = if code.retryable() { "yes" } else { "no" };
            format!(
                "<tr id=\"{name}\"><td><code>{name}</code></td><td>{status}</td><td>{again}</td><td>{advice}</td></tr>\n",
                name = code.as_str(),
                status = code.status().as_u16(),
                advice = code.advice(),
            )
        })
        .collect();
    html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Error codes</title>\n\
         <link rel=\"stylesheet\" href=\"errors.css\">\n<h1>Error codes</h1>\n\
         <table>\n<tr><th>code<th>status<th>again?<th>meaning</tr>\n{rows}</table>\n</html>\n"
    ))
}

/// A part of the pages: a script, a style sheet, an icon.
#[utoipa::path(
    tag = "documents",
    security(()),
    params(("file" = String, Path, description = "The file's name.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "The file."),
        (status = 404, description = "There is no such file."),
    ),
)]
#[get("/docs/{file}")]
pub(super) async fn asset(file: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let own = match file.as_str() {
        "errors.css" => Some((STYLE, "text/css; charset=utf-8")),
        "reference.js" => Some((REFERENCE, "text/javascript; charset=utf-8")),
        "original.js" => Some((ORIGINAL, "text/javascript; charset=utf-8")),
        _ => None,
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, ASSET_AGE));
    if let Some((text, content_type)) = own {
        return Ok(response.content_type(content_type).body(text));
    }
    let config = Arc::<Config<'static>>::default();
    let Ok(Some(asset)) = utoipa_swagger_ui::serve(&file, config) else {
        return Err(ApiError::not_found("file"));
    };
    if asset.gzpipped {
        response.insert_header(header::ContentEncoding::Gzip);
    }
    Ok(response.content_type(asset.content_type).body(match asset.bytes {
        Cow::Borrowed(embedded) => Bytes::from_static(embedded),
        Cow::Owned(made) => made.into(),
    }))
}

/// The original's page, with the original's routes.
#[utoipa::path(tag = "documents", security(()), responses((status = 200, description = "The page.", content_type = "text/html")))]
#[get("/pbx-api")]
pub(super) async fn original() -> HttpResponse {
    html(
        PAGE.replace("{title}", "PBX API")
            .replace("{script}", "original.js"),
    )
}

/// The OpenAPI document of the original's routes.
#[utoipa::path(tag = "documents", security(()), responses((status = 200, description = "The document.", content_type = "application/json")))]
#[get("/pbx-api-json")]
pub(super) async fn original_document(state: web::Data<AppState>) -> HttpResponse {
    json(&state.documents.original)
}

fn json(document: &Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(document.clone())
}

fn html(text: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(PAGE_POLICY)
        .content_type("text/html; charset=utf-8")
        .body(text)
}
