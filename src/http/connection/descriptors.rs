//! How many connections there may be: as many as there are file descriptors for, so that these never run out.

use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections in all.
const MAX_CONNECTIONS: u64 = 8_192;

/// File descriptors that are kept for everything else: the stores' and the integrations' connections, files, the
/// runtimes.
const RESERVED_DESCRIPTORS: u64 = 64;

/// The part of a worker's connections that is kept for those that come while all others are at work.
const RESERVE_PART: usize = 16;

/// How many connections a worker may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Share {
    /// Those that are served.
    pub(super) places: usize,
    /// Those beyond them: health, this machine, and refusals.
    pub(super) reserve: usize,
}

impl Share {
    /// All of them; further ones wait to be accepted.
    pub(in crate::http) fn connections(self) -> usize {
        self.places + self.reserve
    }
}

/// How many connections each of the server's workers may have. The limit of open files is raised as far as this process
/// may, as every program does that does not call `select`.
pub(in crate::http) fn share_of_worker() -> Share {
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
    let share = share(descriptors, workers);
    tracing::debug!(?share, workers, "connections for each worker");
    share
}

/// Each worker's share; no limit is none.
fn share(descriptors: Option<u64>, workers: u64) -> Share {
    let left = descriptors.map_or(MAX_CONNECTIONS, |all| all.saturating_sub(RESERVED_DESCRIPTORS));
    let share = left.min(MAX_CONNECTIONS) / workers;
    let share = usize::try_from(share).unwrap_or(usize::MAX).max(2);
    let reserve = (share / RESERVE_PART).max(1);
    Share {
        places: share - reserve,
        reserve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_others() {
        let of = |descriptors| {
            let Share { places, reserve } = share(descriptors, 2);
            (places, reserve)
        };
        assert_eq!(of(None), (3_840, 256));
        assert_eq!(of(Some(1_000_000)), (3_840, 256));
        assert_eq!(of(Some(1_024)), (450, 30));
        assert_eq!(of(Some(128)), (30, 2));
        assert_eq!(of(Some(16)), (1, 1));
    }
}
