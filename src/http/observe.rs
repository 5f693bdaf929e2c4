//! What every request leaves behind: its id in the answer, one line in the log, two metrics.
//!
//! None of them holds a path, a query, a body or a header: the route's pattern stands for the path.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use tokio::time::Instant;
use tracing::{Span, field};
use tracing_actix_web::RootSpanBuilder;

use super::request_id;

use crate::metric;

/// The span around a request.
#[derive(Debug)]
pub(super) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let request_id = request_id::assign(request);
        let method = method_name(request.method());
        tracing::info_span!(
            "request",
            method,
            request_id,
            route = field::Empty,
            caller = field::Empty
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, _: &Result<ServiceResponse<B>, Error>) {}
}

/// The middleware; it needs [`RequestSpan`] around it.
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = method_name(request.method());
    let id = request_id::of(request.request());
    let mut response = next.call(request).await?;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "none".to_owned());
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    Span::current().record("route", &route);
    tracing::info!(status, ms = elapsed.as_millis(), "answered");
    metrics::counter!(
        metric::HTTP_REQUESTS,
        "route" => route.clone(), "method" => method, "status" => status.to_string()
    )
    .increment(1);
    metrics::histogram!(metric::HTTP_SECONDS, "route" => route).record(elapsed);
    Ok(response)
}

/// A method as a label: callers can invent others without end.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
