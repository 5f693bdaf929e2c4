//! How many connections there may be: as many as there are file descriptors for, so that these never run out.

use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections in all.
const MAX_CONNECTIONS: u64 = 8_192;

/// File descriptors that are kept for everything else: the stores' and the integrations' connections, files, the
/// runtimes.
const RESERVED_DESCRIPTORS: u64 = 64;

/// How many connections each of the server's workers may have; further ones wait to be accepted. The limit of open
/// files is raised as far as this process may, as every program does that does not call `select`.
pub(in crate::http) fn connections_per_worker() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let workers = available_parallelism().map_or(1, |count| count.get() as u64);
    let connections = share(descriptors, workers);
    tracing::debug!(connections, workers, "connections for each worker");
    connections
}

/// Each worker's share; no limit is none.
fn share(descriptors: Option<u64>, workers: u64) -> usize {
    let left = descriptors.map_or(MAX_CONNECTIONS, |all| all.saturating_sub(RESERVED_DESCRIPTORS));
    let share = left.min(MAX_CONNECTIONS) / workers;
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_others() {
        assert_eq!(share(None, 2), 4_096);
        assert_eq!(share(Some(1_000_000), 2), 4_096);
        assert_eq!(share(Some(1_024), 2), 480);
        assert_eq!(share(Some(128), 2), 32);
        assert_eq!(share(Some(16), 2), 1);
    }
}
