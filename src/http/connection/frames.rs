//! What a client may send on an HTTP/2 connection beside requests (RFC 9113): the server below the routes takes header
//! blocks of 16 MiB and frames that ask for nothing without end, and lets neither be set.

use std::time::Duration;

use tokio::time::Instant;

use super::heads::{CONTINUATION, DATA, HEADERS, Head, Heads};
use super::watch::Cut;

/// The client's preface, before the first frame.
const PREFACE: usize = 24;

const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// The largest header block, compressed, and the most frames that it may come in.
const MAX_BLOCK: usize = 32 * 1024;
const MAX_BLOCK_FRAMES: usize = 32;

/// The most frames within [`SPAN`] that carry next to nothing: resets, settings, pings, priorities, crumbs of bodies. A browser that seeks in a
/// recording resets some ten streams a second.
const MAX_CONTROL: usize = 200;
const SPAN: Duration = Duration::from_secs(1);

/// Follows the frames of one connection as their bytes come.
#[derive(Debug)]
pub(super) struct Frames {
    heads: Heads,
    /// The open header block: its bytes and frames so far.
    block: Option<(usize, usize)>,
    /// Whether the latest frame is a piece of a header block.
    is_piece: bool,
    control: usize,
    span: Instant,
    /// Whether the frame that is coming ends a request's head.
    ending: bool,
    /// Whether a request's head ended since this was last asked.
    requested: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            heads: Heads::after(PREFACE),
            block: None,
            is_piece: false,
            control: 0,
            span: Instant::now(),
            ending: false,
            requested: false,
        }
    }

    /// Whether a request's head ended since the last call.
    pub(super) fn take_requested(&mut self) -> bool {
        std::mem::take(&mut self.requested)
    }

    /// Whether a header block or a frame's head is open: a request that has begun to come.
    pub(super) fn in_head(&self) -> bool {
        let in_piece = self.is_piece && !self.heads.between_frames();
        self.block.is_some() || in_piece || self.heads.in_head()
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// When the client asks for too much; the connection must end.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Cut> {
        while let Some(head) = self.heads.next(&mut bytes) {
            self.requested |= std::mem::take(&mut self.ending);
            self.frame(head)?;
        }
        if self.heads.frame_ended() {
            self.requested |= std::mem::take(&mut self.ending);
        }
        Ok(())
    }

    fn frame(&mut self, head: Head) -> Result<(), Cut> {
        let Head { length, kind, .. } = head;
        self.is_piece = matches!(kind, HEADERS | CONTINUATION);
        match kind {
            HEADERS | CONTINUATION => {
                let (bytes, frames) = self.block.unwrap_or_default();
                let (bytes, frames) = (bytes + length, frames + 1);
                if bytes > MAX_BLOCK || frames > MAX_BLOCK_FRAMES {
                    return Err(Cut::HeadTooLarge);
                }
                let ended = head.ends_block();
                self.block = (!ended).then_some((bytes, frames));
                self.ending = ended;
                Ok(())
            }
            PRIORITY | RST_STREAM | SETTINGS | PING => self.control(),
            DATA if head.is_crumb() => self.control(),
            // Other pieces of bodies are bounded by windows; what is unknown is passed over.
            _ => Ok(()),
        }
    }

    fn control(&mut self) -> Result<(), Cut> {
        let now = Instant::now();
        if now - self.span > SPAN {
            (self.span, self.control) = (now, 0);
        }
        self.control += 1;
        if self.control > MAX_CONTROL {
            return Err(Cut::ControlFrames);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::heads::{END_HEADERS, END_STREAM, PADDED};
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [.., a, b, c] = length.to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + length, 0xff);
        frame
    }

    fn follow(frames: &mut Frames, parts: &[Vec<u8>], at_once: usize) -> Result<(), Cut> {
        let bytes = parts.concat();
        bytes.chunks(at_once).try_for_each(|chunk| frames.follow(chunk))
    }

    fn started() -> Frames {
        let mut frames = Frames::new();
        frames.follow(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames
    }

    #[test]
    fn ordinary_traffic_passes_however_it_is_cut_up() {
        let request = [
            frame(SETTINGS, 0, 18),
            frame(8, 0, 4),
            frame(HEADERS, 0, 16_384),
            frame(CONTINUATION, END_HEADERS, 16_384),
            frame(0, 1, 16_384),
        ];
        for at_once in [1, 7, 9, 10, 4_096, 1_000_000] {
            let mut frames = started();
            for _ in 0..3 {
                follow(&mut frames, &request, at_once).unwrap();
                assert!(!frames.in_head());
            }
        }
    }

    #[test]
    fn a_header_block_is_open_until_its_last_byte() {
        let mut frames = started();
        for _ in 0..2 {
            let request = frame(HEADERS, END_HEADERS, 100);
            for byte in &request[..108] {
                frames.follow(&[*byte]).unwrap();
                assert!(frames.in_head());
            }
            frames.follow(&request[108..]).unwrap();
            assert!(!frames.in_head());
            // A body is none.
            let body = frame(0, 1, 100);
            frames.follow(&body[..50]).unwrap();
            assert!(!frames.in_head());
            frames.follow(&body[50..]).unwrap();
        }
    }

    #[test]
    fn a_request_is_there_with_the_last_byte_of_its_head() {
        for request in [
            vec![frame(HEADERS, END_HEADERS, 2_000)],
            vec![frame(HEADERS, 0, 2_000), frame(CONTINUATION, END_HEADERS, 2_000)],
            vec![frame(HEADERS, 0, 2_000), frame(CONTINUATION, END_HEADERS, 0)],
        ] {
            for at_once in [1, 10, 1_024, 10_000] {
                let mut frames = started();
                let bytes = request.concat();
                let (last, before) = bytes.split_last().unwrap();
                for piece in before.chunks(at_once) {
                    frames.follow(piece).unwrap();
                    assert!(!frames.take_requested());
                }
                // With the beginning of the next frame, too.
                frames.follow(&[*last, 0, 0]).unwrap();
                assert!(frames.take_requested());
                assert!(!frames.take_requested());
            }
        }
    }

    #[test]
    fn a_header_block_ends_at_its_bound() {
        let mut frames = started();
        follow(&mut frames, &[frame(HEADERS, 0, 16_384)], 1_000).unwrap();
        assert!(frames.in_head());
        follow(&mut frames, &[frame(CONTINUATION, 0, 16_384)], 1_000).unwrap();
        let one_more = follow(&mut frames, &[frame(CONTINUATION, 0, 1)], 1_000);
        assert_eq!(one_more, Err(Cut::HeadTooLarge));
        // Empty ones count too.
        let mut frames = started();
        follow(&mut frames, &[frame(HEADERS, 0, 1)], 1_000).unwrap();
        let empty = vec![frame(CONTINUATION, 0, 0); MAX_BLOCK_FRAMES];
        assert_eq!(follow(&mut frames, &empty, 1_000), Err(Cut::HeadTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_ask_for_nothing_have_a_rate() {
        let padded = frame(DATA, PADDED, 1_000);
        let frames = [PRIORITY, RST_STREAM, SETTINGS, PING, DATA].map(|kind| frame(kind, 0, 8));
        for one in frames.into_iter().chain([frame(DATA, 0, 0), padded]) {
            let mut frames = started();
            let burst = vec![one.clone(); MAX_CONTROL];
            for _ in 0..3 {
                follow(&mut frames, &burst, 1_000).unwrap();
                tokio::time::advance(SPAN * 2).await;
            }
            follow(&mut frames, &burst, 1_000).unwrap();
            let one_more = follow(&mut frames, &[one], 1_000);
            assert_eq!(one_more, Err(Cut::ControlFrames));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_may_come_in_any_number_of_proper_pieces() {
        let mut frames = started();
        follow(&mut frames, &vec![frame(DATA, 0, 64); MAX_CONTROL * 5], 1_000).unwrap();
        follow(
            &mut frames,
            &vec![frame(DATA, END_STREAM, 8); MAX_CONTROL * 5],
            1_000,
        )
        .unwrap();
    }
}
