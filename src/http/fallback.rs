//! The answer where no route is.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::AppState;
use super::code::Code;
use super::error::Failure;
use super::legacy_error::{Refusal, target};

/// What the router falls back to.
pub(super) async fn respond(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    no_route(&request, &state, request.match_pattern().as_deref())
}

/// 404, or 405 where the path has other methods.
pub(super) fn no_route(request: &HttpRequest, state: &AppState, pattern: Option<&str>) -> HttpResponse {
    let methods = pattern.and_then(|pattern| state.documents.routes.methods(pattern));
    let Some(methods) = methods else {
        return not_found(request);
    };
    let mut response = answer(request, Code::MethodNotAllowed);
    if let Ok(methods) = header::HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

/// 404, in the original's words on its routes.
pub(super) fn not_found(request: &HttpRequest) -> HttpResponse {
    answer(request, Code::NotFound)
}

fn answer(request: &HttpRequest, code: Code) -> HttpResponse {
    let words = format!("Cannot {} {}", request.method(), target(request));
    let state = request.app_data::<web::Data<AppState>>();
    if state.is_some_and(|state| state.has_problems(request)) {
        Failure::new(code, words).respond(request)
    } else {
        Refusal::request(code.status(), words).respond(request)
    }
}
