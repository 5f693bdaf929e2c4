//! The directory of one 3CX's recordings. Everything here may block, for as long as a network mount hangs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use super::error::RecordingError;

/// Beneath the directory, whatever its names and links say and whoever renames them meanwhile: the kernel sees to it
/// while it walks. Links within the directory are followed.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// How often a path is walked again that was renamed on the way, or that another program holds a lease on.
const ATTEMPTS: usize = 16;

/// Where recordings are opened.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether recordings could be opened: the directory is there and can be read.
    pub(super) fn check(&self) -> Result<(), RecordingError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(self.root()?, ".", flags, Mode::empty(), BENEATH).map_err(unavailable)?;
        Ok(())
    }

    /// Opens the file at `path`, relative to the directory.
    pub(super) fn open(&self, path: &str) -> Result<File, RecordingError> {
        let root = self.root()?;
        let path = path.trim_start_matches('/');
        // Without waiting for whoever writes to a FIFO: it is refused below.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut opened = Err(Errno::AGAIN);
        for _ in 0..ATTEMPTS {
            opened = openat2(&root, path, flags, Mode::empty(), BENEATH);
            if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        let file = opened.map_err(refusal)?;
        let status = fstat(&file).map_err(unavailable)?;
        if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
            Ok(file.into())
        } else {
            Err(RecordingError::Missing)
        }
    }

    /// The directory as it is at this moment: it may have been mounted or replaced since the last time.
    fn root(&self) -> Result<OwnedFd, RecordingError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(&self.0, flags, Mode::empty()).map_err(unavailable)
    }
}

/// What it means that a path cannot be opened.
fn refusal(error: Errno) -> RecordingError {
    match error {
        // `INVAL` is a NUL in the path, `NXIO` a socket.
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::NXIO => {
            RecordingError::Missing
        }
        Errno::XDEV | Errno::LOOP => RecordingError::Outside,
        Errno::ACCESS | Errno::PERM => RecordingError::Denied,
        other => unavailable(other),
    }
}

pub(super) fn unavailable(error: Errno) -> RecordingError {
    let words = match error {
        Errno::NOSYS => "the kernel has no openat2, which Linux 5.6 and later have".to_owned(),
        Errno::NOENT => "it is not there".to_owned(),
        Errno::NOTDIR => "it is no directory".to_owned(),
        Errno::ACCESS | Errno::PERM => "it may not be read".to_owned(),
        other => std::io::Error::from(other).kind().to_string(),
    };
    RecordingError::Unavailable(words)
}
