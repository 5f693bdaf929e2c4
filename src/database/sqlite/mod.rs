//! A SQLite file: one connection that writes, several that only read.

mod connections;
mod error;
mod private;

use std::path::Path;
use std::time::Duration;

use refinery::Runner;

use self::connections::Connections;
pub(super) use self::private::is_open_to_others;
use super::StoreError;

/// A file, opened.
#[derive(Debug)]
pub(crate) struct Sqlite {
    /// The connection that writes. Each commit reaches the disk.
    pub(crate) writer: Connections,
    /// Those that only read.
    pub(crate) readers: Connections,
}

impl Sqlite {
    /// Opens or makes the file, for its owner alone, and brings its schema up to date; `history` names the table of what was applied. The file's
    /// directory must exist.
    pub(super) async fn open(
        file: &Path,
        readers: usize,
        timeout: Duration,
        migrations: Runner,
        history: &str,
    ) -> Result<Self, StoreError> {
        // The journal's mode belongs to the file, so the readers, opened later, find it set.
        let writer = Connections::new(file, 1, timeout, |connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "journal_size_limit", 64 << 20)
        });
        writer.migrate(migrations, history).await?;
        if is_open_to_others(file) {
            let file = file.display();
            tracing::warn!(%file, "other users of this machine may read this file and the -wal and -shm beside it: chmod 600");
        }
        let readers = Connections::new(file, readers, timeout, |connection| {
            connection.pragma_update(None, "query_only", true)
        });
        Ok(Self { writer, readers })
    }
}
