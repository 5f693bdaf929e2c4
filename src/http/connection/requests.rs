//! The requests of a connection, each from its head to the last byte of its response.

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
use super::state::{Connection, InFlightRequest};

/// The middleware that tracks requests in flight; it must be the outermost.
pub(in crate::http) async fn track_requests(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<ResponseBody>, Error> {
    let in_reserve = is_in_reserve(&request);
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let in_flight = connection.map(|connection| {
        let in_flight = InFlightRequest::begin(&connection);
        let body = request.take_payload();
        if matches!(body, Payload::None) {
            connection.body_received();
            return in_flight;
        }
        let end = stream::poll_fn(move |_| {
            connection.body_received();
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
    if in_reserve || lifecycle.is_some_and(|lifecycle| lifecycle.phase() >= Phase::Draining) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| ResponseBody {
        body: BoxBody::new(body),
        _in_flight: in_flight,
        _open: open,
    }))
}

/// Whether its connection has no place of its own: only health and this machine are served.
pub(in crate::http) fn is_in_reserve(request: &ServiceRequest) -> bool {
    let connection = request.conn_data::<Rc<Connection>>();
    connection.is_some_and(|connection| connection.in_reserve())
}

/// A response's body; the request is in flight until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct ResponseBody {
    body: BoxBody,
    _in_flight: Option<InFlightRequest>,
    _open: Option<OpenRequest>,
}

impl MessageBody for ResponseBody {
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
