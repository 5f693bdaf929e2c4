//! Answers that are too large, made while they are sent.

use std::iter::repeat_n;

use bytes::Bytes;

/// What is sent, again and again.
static PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// A text of so many bytes, in pieces. They are all the same memory.
pub(super) fn text(bytes: usize) -> impl Iterator<Item = Bytes> + Send + use<> {
    let whole = repeat_n(Bytes::from_static(&PIECE), bytes / PIECE.len());
    whole.chain([Bytes::from_static(&PIECE[..bytes % PIECE.len()])])
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_text_has_as_many_bytes_as_asked_for() {
        for bytes in [0, 1, 16 * 1024 - 1, 16 * 1024, 1_000_000] {
            assert_eq!(text(bytes).map(|piece| piece.len()).sum::<usize>(), bytes);
        }
    }
}
