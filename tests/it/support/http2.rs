//! Frames of HTTP/2 (RFC 9113), written by hand: what no client library would send.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The client's preface and its settings, by number and value.
pub(crate) fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    bytes.extend(frame(SETTINGS, 0, 0, &payload));
    bytes
}

/// The header block of a request (RFC 7541): indexed fields, and literals without indexing.
pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    let mut block = vec![if method == "POST" { 0x83 } else { 0x82 }, 0x87];
    for (name, value) in [(0x04, path), (0x01, "localhost")] {
        block.push(name);
        literal(&mut block, value);
    }
    // `content-type` is number 31: 15 in the prefix, 16 more.
    block.extend([0x0f, 0x10]);
    literal(&mut block, "application/json");
    block
}

/// Text of less than 127 bytes.
pub(crate) fn literal(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).expect("a short text"));
    block.extend(text.as_bytes());
}

/// A frame as it was read: kind, flags, stream, payload.
pub(crate) type Frame = (u8, u8, u32, Vec<u8>);

/// The next frame; none when the connection ended.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
    stream.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes(id), payload))
}

/// Reads frames until one is `wanted`. Panics when the connection ends before, or `limit` passes.
pub(crate) async fn until_frame(
    stream: &mut (impl AsyncRead + Unpin),
    limit: Duration,
    wanted: impl Fn(&Frame) -> bool,
) -> Frame {
    let reading = async {
        loop {
            let frame = read_frame(stream).await.expect("a connection that lasts");
            if wanted(&frame) {
                return frame;
            }
        }
    };
    tokio::time::timeout(limit, reading)
        .await
        .expect("a frame in time")
}

/// Reads until the connection ends, however it does, within `limit`. Tells whether it ended.
pub(crate) async fn ends_within(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> bool {
    let reading = async { while read_frame(stream).await.is_some() {} };
    tokio::time::timeout(limit, reading).await.is_ok()
}
