//! What every request leaves behind: its id in the answer, one line in the log, two metrics.
//!
//! None of them holds a path, a query, a body or a header: the route's pattern stands for the path.

use std::sync::LazyLock;

use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use metrics::{Counter, Histogram};
use tokio::time::Instant;
use tracing::{Span, field};
use tracing_actix_web::RootSpanBuilder;

use super::access::{RoutePattern, Silent};
use super::request_id;
use crate::metric::{self, Handles};

/// A route, a method and a status.
type Answer = (String, &'static str, StatusCode);

/// How many of each kind of answer there were, and how soon.
static ANSWERS: LazyLock<Handles<Answer, (Counter, Histogram)>> = LazyLock::new(Handles::default);

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
    let found = response.request().extensions_mut().remove::<RoutePattern>();
    let pattern = found.map_or_else(
        || response.request().match_pattern(),
        |RoutePattern(pattern)| pattern,
    );
    let route = pattern.unwrap_or_else(|| "none".to_owned());
    let status = response.status();
    let elapsed = started.elapsed();
    Span::current().record("route", &route);
    if !response.request().extensions().contains::<Silent>() {
        tracing::info!(status = status.as_u16(), ms = elapsed.as_millis(), "answered");
    }
    let (answered, seconds) = ANSWERS.get((route, method, status), |(route, method, status)| {
        let answered = metric::http_requests(route.clone(), *method, status.as_str().to_owned());
        (answered, metric::http_seconds(route.clone()))
    });
    answered.increment(1);
    seconds.record(elapsed);
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
