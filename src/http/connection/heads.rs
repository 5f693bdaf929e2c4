//! The heads of HTTP/2 frames (RFC 9113, 4.1) in a stream of bytes that comes in any pieces.

/// Pieces of a body below so many bytes are crumbs.
const CRUMB: usize = 64;

/// A frame's head: three bytes of length, type, flags, four of the stream.
const SIZE: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the frame after its head.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

impl Head {
    /// Whether a piece of a body carries next to nothing, and is not its last: the server below keeps 250 bytes for each that
    /// is not read, and takes nothing for an empty one from a window. Padding may be all that is in it.
    pub(super) fn is_crumb(self) -> bool {
        self.flags & END_STREAM == 0 && (self.length < CRUMB || self.flags & PADDED != 0)
    }

    /// For a piece of a header block, whether it is the last.
    pub(super) fn ends_block(self) -> bool {
        self.flags & END_HEADERS != 0
    }
}

/// Finds the heads.
#[derive(Debug)]
pub(super) struct Heads {
    /// Bytes to pass over before the next head.
    skip: usize,
    head: [u8; SIZE],
    read: usize,
}

impl Heads {
    /// Of a stream whose first frame comes after so many bytes.
    pub(super) fn after(skip: usize) -> Self {
        Self {
            skip,
            head: [0; SIZE],
            read: 0,
        }
    }

    /// The next head that ends within `bytes`, which go on behind it; none when they are used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let passed = self.skip.min(bytes.len());
        self.skip -= passed;
        *bytes = &bytes[passed..];
        let wanted = (SIZE - self.read).min(bytes.len());
        let (part, rest) = bytes.split_at(wanted);
        self.head[self.read..self.read + wanted].copy_from_slice(part);
        self.read += wanted;
        *bytes = rest;
        if self.read < SIZE {
            return None;
        }
        self.read = 0;
        let [a, b, c, kind, flags, ..] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        Some(Head { length, kind, flags })
    }

    /// Whether a head has begun to come.
    pub(super) fn in_head(&self) -> bool {
        self.read > 0
    }

    /// Whether all of the latest frame came.
    pub(super) fn frame_ended(&self) -> bool {
        self.skip == 0
    }

    /// Whether the last byte so far was a frame's last.
    pub(super) fn between_frames(&self) -> bool {
        self.skip == 0 && self.read == 0
    }
}
