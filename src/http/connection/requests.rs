//! The requests of a connection, from their heads to the last bytes of their answers.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::ConnectionType;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::super::lifecycle::{Lifecycle, OpenRequest, Phase};
use super::super::state::AppState;
use super::watch::{InFlight, Watch};

/// The middleware; it must be the outermost.
pub(in crate::http) async fn count_requests(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answer>, Error> {
    let watch = request.conn_data::<Rc<Watch>>().cloned();
    let in_flight = watch.map(|watch| {
        let in_flight = InFlight::begin(&watch);
        let body = request.take_payload();
        if matches!(body, Payload::None) {
            watch.body_ended();
            return in_flight;
        }
        let end = stream::poll_fn(move |_| {
            watch.body_ended();
            Poll::Ready(None)
        });
        request.set_payload(Payload::Stream {
            payload: Box::pin(body.chain(end)),
        });
        in_flight
    });
    let lifecycle = request
        .app_data::<web::Data<AppState>>()
        .map(|state| state.lifecycle.clone());
    let open = lifecycle.as_ref().map(Lifecycle::open_request);
    let mut response = next.call(request).await?;
    if lifecycle.is_some_and(|lifecycle| lifecycle.phase() >= Phase::Draining) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| Answer {
        body: BoxBody::new(body),
        _in_flight: in_flight,
        _open: open,
    }))
}

/// The body of an answer; the request is under way as long as there is it.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    body: BoxBody,
    _in_flight: Option<InFlight>,
    _open: Option<OpenRequest>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
