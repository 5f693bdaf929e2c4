//! The requests of a connection: how many at once, and whether their answers are taken.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::ConnectionType;
use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use bytes::Bytes;

use super::super::AppState;
use super::super::lifecycle::{Lifecycle, OpenRequest, Phase};
use super::super::observe::method_name;
use super::watch::{InFlight, Watch};
use crate::metric;

/// The most requests under way on one connection. HTTP/1 has one; for HTTP/2 the server below announces no bound, and
/// RFC 9113 recommends that it be no less than 100.
const MAX_STREAMS: usize = 100;

/// The middleware; it must be the outermost.
pub(in crate::http) async fn count_requests(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<Answer<impl MessageBody>>>, Error> {
    let in_flight = match request.conn_data::<Rc<Watch>>() {
        // No body, as its bytes could be left unread.
        Some(watch) if watch.in_flight() >= MAX_STREAMS => {
            // What counts answers is further in.
            let method = method_name(request.method());
            metric::http_requests("none", method, "503").increment(1);
            let busy = HttpResponse::ServiceUnavailable()
                .insert_header((header::RETRY_AFTER, "1"))
                .finish();
            return Ok(request.into_response(busy).map_into_right_body());
        }
        Some(watch) => Some(InFlight::begin(watch)),
        None => None,
    };
    let lifecycle = request
        .app_data::<web::Data<AppState>>()
        .map(|state| state.lifecycle.clone());
    let open = lifecycle.as_ref().map(Lifecycle::open_request);
    let mut response = next.call(request).await?;
    // On HTTP/1; an HTTP/2 client is told by its socket.
    if lifecycle.is_some_and(|lifecycle| lifecycle.phase() >= Phase::Draining) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| {
        EitherBody::left(Answer {
            body: Box::pin(body),
            in_flight,
            _open: open,
        })
    }))
}

/// A body that says when a piece of it is ready, and when that was taken.
#[derive(Debug)]
pub(in crate::http) struct Answer<B> {
    body: Pin<Box<B>>,
    in_flight: Option<InFlight>,
    _open: Option<OpenRequest>,
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // Whoever asks for more has passed on what there was.
        if let Some(request) = &self.in_flight {
            request.taken();
        }
        let next = ready!(self.body.as_mut().poll_next(context));
        if let (Some(request), Some(Ok(_))) = (&self.in_flight, &next) {
            request.offer();
        }
        Poll::Ready(next)
    }
}
