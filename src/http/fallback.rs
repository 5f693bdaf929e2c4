//! The answer where no route is.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::AppState;
use super::code::Code;
use super::error::Failure;
use super::legacy_error::Refusal;

/// 404, or 405 where the path has other methods.
pub(super) async fn respond(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    let pattern = request.match_pattern().unwrap_or_default();
    let methods = state.documents.routes.methods(&pattern);
    let words = format!("Cannot {} {}", request.method(), request.uri());
    let (code, status) = match methods {
        Some(_) => (Code::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED),
        None => (Code::NotFound, StatusCode::NOT_FOUND),
    };
    let mut response = if state.has_problems(request.path()) {
        Failure::new(code, words).respond(&request)
    } else {
        Refusal::request(status, words).respond(&request)
    };
    if let Some(Ok(methods)) = methods.map(|methods| header::HeaderValue::from_str(&methods.join(", "))) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}
