//! Replies that a service does not know how to write.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Response};
use tonic::service::AxumBody;

use crate::simulator::oversized::text;

/// The number of `SqlResponse.result`.
const RESULT: u32 = 1;

/// What takes a reply's place; it goes along with the reply as an extension.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    /// These bytes, as the body.
    Bytes(Bytes),
    /// A message that holds a `result` of one text of so many bytes. `sent` counts what went.
    Oversized { bytes: usize, sent: Arc<AtomicU64> },
}

impl Instead {
    /// These bytes as a message, in a frame of gRPC: a flag, four bytes of length, the message.
    pub(super) fn message(message: Bytes) -> Self {
        let mut body = frame(message.len());
        body.put(message);
        Self::Bytes(body.freeze())
    }

    /// Its end says that all went well.
    fn body(self) -> Body {
        let body = match self {
            Self::Bytes(bytes) => AxumBody::from(bytes),
            Self::Oversized { bytes, sent } => {
                let (open, close) = ("[[\"", "\"]]");
                let length = open.len() + bytes + close.len();
                let mut head = BytesMut::new();
                encode_key(RESULT, WireType::LengthDelimited, &mut head);
                encode_varint(length as u64, &mut head);
                let mut first = frame(head.len() + length);
                first.put(head);
                first.put(open.as_bytes());
                let pieces = std::iter::once(first.freeze())
                    .chain(text(bytes))
                    .chain([Bytes::from_static(close.as_bytes())])
                    .map(move |piece| {
                        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                        Ok::<_, Infallible>(piece)
                    });
                AxumBody::from_stream(stream::iter(pieces))
            }
        };
        let ok = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
        Body::new(body.with_trailers(ready(Some(Ok(ok)))))
    }
}

/// The head of a frame that is not compressed.
fn frame(length: usize) -> BytesMut {
    let mut head = BytesMut::with_capacity(5);
    head.put_u8(0);
    head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    head
}

/// Puts what was meant to take a reply's place there.
pub(super) fn replace(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<Instead>() {
        Some(instead) => response.map(|_| instead.body()),
        None => response,
    }
}
