//! Who may read a SQLite file: its owner and nobody else, as it holds calls, phone numbers and the key that signs links.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What a file is made with, and the permissions that others must have none of.
const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Makes the file where there is none, for its owner alone whatever the umask. SQLite gives `-wal` and `-shm` the permissions
/// of their file. One that is there is not even opened: closing it again would release SQLite's locks on it.
pub(super) fn make_private(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(OWNER_ONLY);
    options.open(file).map(drop)
}

/// Whether others than its owner may use the file, or one that SQLite keeps beside it.
pub(in crate::database) fn is_open_to_others(file: &Path) -> bool {
    ["", "-wal", "-shm"].iter().any(|suffix| {
        let mut name = OsString::from(file);
        name.push(suffix);
        std::fs::metadata(name).is_ok_and(|found| found.mode() & OTHERS != 0)
    })
}
