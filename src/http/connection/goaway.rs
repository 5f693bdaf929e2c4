//! GOAWAY (RFC 9113, 6.8): an HTTP/2 client is told to send its further requests elsewhere. The server below cannot send
//! it, so it is put between two of its frames.

use super::heads::{CONTINUATION, HEADERS, Heads};

/// Every stream will be answered (the last id there can be), and nothing went wrong: as the RFC has it for an orderly end.
const FRAME: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Follows what is written on one connection, to find the place.
#[derive(Debug)]
pub(super) struct Goaway {
    heads: Heads,
    /// Whether anything else may come now: after the first frame, which must be the settings, and within no header block.
    open: bool,
    sent: usize,
}

impl Goaway {
    pub(super) fn new() -> Self {
        Self {
            heads: Heads::after(0),
            open: false,
            sent: 0,
        }
    }

    /// Follows what the server below wrote.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while let Some(head) = self.heads.next(&mut bytes) {
            self.open = match head.kind {
                HEADERS | CONTINUATION => head.ends_block(),
                _ => true,
            };
        }
    }

    /// What is to be written next of the frame; nothing when it is out, or when this is no place for it.
    pub(super) fn unsent(&self) -> &'static [u8] {
        if self.sent == 0 && !(self.open && self.heads.between_frames()) {
            return &[];
        }
        &FRAME[self.sent..]
    }

    /// So much of it was written.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + usize::from(length), 0xff);
        frame
    }

    /// After how many bytes of `parts` it may come.
    fn places(parts: &[Vec<u8>]) -> Vec<usize> {
        let mut goaway = Goaway::new();
        let mut places = Vec::new();
        for (count, byte) in parts.concat().into_iter().enumerate() {
            goaway.wrote(&[byte]);
            if !goaway.unsent().is_empty() {
                places.push(count + 1);
            }
        }
        places
    }

    #[test]
    fn it_comes_between_frames_after_the_settings_and_within_no_header_block() {
        let settings = frame(4, 0, 6);
        assert!(places(&[]).is_empty());
        let parts = [
            settings,
            frame(4, 1, 0),
            frame(HEADERS, 0, 3),
            frame(CONTINUATION, 4, 2),
            frame(0, 1, 1),
        ];
        assert_eq!(places(&parts), [15, 24, 47, 57]);
    }

    #[test]
    fn it_comes_once_whatever_is_taken_at_once() {
        let mut goaway = Goaway::new();
        goaway.wrote(&frame(4, 0, 0));
        let mut out = Vec::new();
        while let [byte, ..] = goaway.unsent() {
            out.push(*byte);
            goaway.sent(1);
        }
        assert_eq!(out, FRAME);
        goaway.wrote(&frame(0, 1, 1));
        assert!(goaway.unsent().is_empty());
    }
}
