//! Reading without holding a worker up.

use std::fs::File;
use std::io::IoSliceMut;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::directory::unavailable;
use super::error::RecordingError;
use super::stream;
use crate::actor::Permit;

/// Bytes read at once, at most.
const CHUNK: u64 = 128 * 1024;

/// How long a disk may take for them.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads one open recording. It may be used on any thread; what blocks runs on threads of the actor that opened it, so
/// that a mount that hangs takes no thread of anybody else.
#[derive(Debug, Clone)]
pub struct Reader {
    open_file: Arc<OpenFile>,
    threads: Handle,
}

/// What a thread that hangs in the kernel keeps until it is out again.
#[derive(Debug)]
struct OpenFile {
    file: File,
    _permit: Option<Permit>,
}

impl Reader {
    /// A reader of `file` that blocks threads of the current runtime only.
    pub(super) fn new(file: File, permit: Option<Permit>, threads: Handle) -> Self {
        Self {
            open_file: Arc::new(OpenFile {
                file,
                _permit: permit,
            }),
            threads,
        }
    }

    /// The `length` bytes from `offset` on, in pieces as they are taken. A failure is the last item. Whoever takes no
    /// piece for a minute finds the recording closed and its permit returned.
    pub fn into_stream(
        self,
        offset: u64,
        length: u64,
    ) -> impl Stream<Item = Result<Bytes, RecordingError>> + 'static {
        stream::with_client_timeout(self, offset, length)
    }

    /// Some of the `length` bytes at `offset`, at least one.
    ///
    /// # Errors
    /// When there are none, or the disk fails or takes too long.
    ///
    /// # Cancel safety
    /// Safe: nothing but reading. A thread in the kernel stays there with file and permit.
    pub(super) async fn read(&self, offset: u64, length: u64) -> Result<Bytes, RecordingError> {
        let mut piece = BytesMut::zeroed(usize::try_from(length.min(CHUNK)).unwrap_or_default());
        // What is in memory comes at once. Anything else, a file system that cannot tell included, is for a thread.
        let at_once = preadv2(
            &self.open_file.file,
            &mut [IoSliceMut::new(&mut piece)],
            offset,
            ReadWriteFlags::NOWAIT,
        );
        if let Ok(count) = at_once {
            return taken(piece, count);
        }
        let open_file = Arc::clone(&self.open_file);
        let reading = self.threads.spawn_blocking(move || {
            loop {
                match pread(&open_file.file, &mut piece[..], offset) {
                    Ok(count) => return taken(piece, count),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(unavailable(error)),
                }
            }
        });
        match timeout(READ_TIMEOUT, reading).await {
            Ok(read) => read
                .unwrap_or_else(|_| Err(RecordingError::Unavailable("reading was interrupted".to_owned()))),
            Err(_) => Err(RecordingError::Unavailable("no answer in time".to_owned())),
        }
    }
}

fn taken(mut piece: BytesMut, count: usize) -> Result<Bytes, RecordingError> {
    if count == 0 {
        return Err(RecordingError::Truncated);
    }
    piece.truncate(count);
    Ok(piece.freeze())
}
