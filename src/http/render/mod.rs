//! The bodies of errors: problem documents on the gateway's own routes, the original's shape on all others.

mod original;
mod problem;

use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest};

pub(super) use original::OriginalError;
pub(super) use problem::{MEDIA_TYPE as PROBLEM_MEDIA_TYPE, Problem};

use super::access::Silent;
use super::error::ApiError;
use super::request_id;

/// The middleware that gives an error its body. `own_api` is what the paths of the gateway's own routes begin with.
pub(super) async fn render_errors<B: MessageBody>(
    own_api: Rc<str>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, String>>, Error> {
    let response = next.call(request).await?;
    let error = response.response().error();
    let Some(error) = error.and_then(Error::as_error::<ApiError>) else {
        return Ok(response.map_into_left_body());
    };
    let (media_type, body) = render(error, response.request(), &own_api)?;
    Ok(response.map_body(|head, _| {
        let media_type = HeaderValue::from_static(media_type);
        head.headers_mut().insert(header::CONTENT_TYPE, media_type);
        EitherBody::right(body)
    }))
}

/// The media type and the body of an error. The path counts as the router reads it.
fn render(
    error: &ApiError,
    request: &HttpRequest,
    own_api: &str,
) -> serde_json::Result<(&'static str, String)> {
    let own = request.match_info().as_str().starts_with(own_api);
    if !request.extensions().contains::<Silent>() {
        tracing::warn!(code = error.code.as_str(), "not carried out");
    }
    let request_id = request_id::of(request);
    Ok(if own {
        let body = serde_json::to_string(&Problem::new(error, request_id))?;
        (problem::MEDIA_TYPE, body)
    } else {
        let body = OriginalError::new(error, request_id, request.method(), original::target(request));
        ("application/json", serde_json::to_string(&body)?)
    })
}
