//! How many connections are open, as Asterisk's `sessionlimit` counts them.

use std::sync::{Arc, Mutex};

use crate::simulator::lock::locked;

/// Asterisk's default.
const DEFAULT_LIMIT: usize = 100;

/// Connections to ARI; an event socket is one of them for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sessions {
    /// Open at present.
    pub open: usize,
    /// The most that were open at once.
    pub most: usize,
    /// Closed at once because the limit was reached, with no answer.
    pub refused: u64,
}

/// The counts, and the limit that they are held against.
#[derive(Debug)]
pub(super) struct SessionLimit {
    state: Mutex<(usize, Sessions)>,
}

impl Default for SessionLimit {
    fn default() -> Self {
        Self {
            state: Mutex::new((DEFAULT_LIMIT, Sessions::default())),
        }
    }
}

impl SessionLimit {
    pub(super) fn set(&self, limit: usize) {
        locked(&self.state).0 = limit;
    }

    pub(super) fn sessions(&self) -> Sessions {
        locked(&self.state).1
    }

    /// Counts a connection until what is returned is dropped; None: it is one too many.
    pub(super) fn open(self: &Arc<Self>) -> Option<Session> {
        let (limit, sessions) = &mut *locked(&self.state);
        if sessions.open >= *limit {
            sessions.refused += 1;
            return None;
        }
        sessions.open += 1;
        sessions.most = sessions.most.max(sessions.open);
        Some(Session(Arc::clone(self)))
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(super) struct Session(Arc<SessionLimit>);

impl Drop for Session {
    fn drop(&mut self) {
        locked(&self.0.state).1.open -= 1;
    }
}
