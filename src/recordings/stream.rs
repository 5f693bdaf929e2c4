//! Bodies that end by themselves when nobody reads them.
//!
//! A player that is paused stops reading, and may stay so for hours. A body that is not polled cannot end itself, so
//! beside each one runs a task with a clock: it closes the recording, and the permit returns. The player then finds the
//! connection cut, and asks for the rest when it goes on.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::error::RecordingError;
use super::reader::Reader;

/// How long a piece may wait for its reader.
pub(super) const READ_BY_CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A recording that is being read.
struct Open {
    /// None when it was closed for want of a reader.
    reader: Option<Reader>,
    /// When a piece was last handed over.
    taken: Instant,
}

/// What is left to send.
struct Rest {
    open: Rc<RefCell<Open>>,
    offset: u64,
    length: u64,
    /// Ends with the body: seeking makes many bodies, and none may leave a clock behind.
    _clock: AbortOnDropHandle<()>,
}

pub(super) fn with_client_timeout(
    reader: Reader,
    offset: u64,
    length: u64,
) -> impl Stream<Item = Result<Bytes, RecordingError>> + 'static {
    let open = Rc::new(RefCell::new(Open {
        reader: Some(reader),
        taken: Instant::now(),
    }));
    let clock = actix_rt::spawn(close_when_not_taken(Rc::downgrade(&open)));
    let rest = Rest {
        open,
        offset,
        length,
        _clock: AbortOnDropHandle::new(clock),
    };
    stream::try_unfold(rest, |mut rest| async move {
        match rest.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, rest))),
            Err(error) => {
                tracing::warn!(%error, "a recording was cut off");
                Err(error)
            }
        }
    })
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, RecordingError> {
        if self.length == 0 {
            return Ok(None);
        }
        let reader = self
            .open
            .borrow()
            .reader
            .clone()
            .ok_or(RecordingError::NotTaken)?;
        let piece = reader.read(self.offset, self.length).await?;
        let count = piece.len() as u64;
        self.offset += count;
        self.length = self.length.saturating_sub(count);
        self.open.borrow_mut().taken = Instant::now();
        Ok(Some(piece))
    }
}

async fn close_when_not_taken(open: Weak<RefCell<Open>>) {
    loop {
        let Some(until) = open
            .upgrade()
            .map(|open| open.borrow().taken + READ_BY_CLIENT_TIMEOUT)
        else {
            return;
        };
        if Instant::now() >= until {
            if let Some(open) = open.upgrade() {
                open.borrow_mut().reader = None;
            }
            return;
        }
        sleep_until(until).await;
    }
}
