//! What a simulated PBX is like.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// How a simulated PBX is set up. The default listens on free loopback ports at a pace for people to watch.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// Where ARI listens; port 0 takes a free one.
    pub ari: SocketAddr,
    /// Where PAC listens; port 0 takes a free one.
    pub pac: SocketAddr,
    /// ARI's user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The PJSIP endpoints that Asterisk knows.
    pub trunks: Vec<String>,
    /// The extensions that 3CX knows.
    pub extensions: RangeInclusive<u32>,
    /// The key that PAC's bearer tokens are signed with; None: PAC asks for none.
    pub jwt_key: Option<String>,
    /// How fast calls go.
    pub pace: Pace,
    /// When a call's CDRs can be read.
    pub row_timing: RowTiming,
    /// How long after its leg's rows a recording appears.
    pub recording_delay: Duration,
    /// The folder where recordings are written as files that play, at most about 60 MB of them; None: there are only
    /// rows.
    pub recordings: Option<PathBuf>,
    /// The longest such file; the recording ends there.
    pub longest_recording: Duration,
    /// How long a write to an event socket may wait before Asterisk closes it.
    pub event_write_timeout: Duration,
    /// Within what time the four hours before the start take place, as a small call centre has them; None: nothing
    /// happened.
    pub morning: Option<Duration>,
    /// About how long between two calls that nobody asked for; None: there are none. They begin when
    /// the morning is over.
    pub background_calls: Option<Duration>,
    /// What chance is seeded with.
    pub seed: u64,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            ari: free,
            pac: free,
            user: "simulator".to_owned(),
            password: "simulator".to_owned(),
            trunks: vec!["3cx".to_owned()],
            extensions: 100..=199,
            jwt_key: None,
            pace: Pace::default(),
            row_timing: RowTiming::default(),
            recording_delay: Duration::from_secs(2),
            recordings: None,
            longest_recording: Duration::from_secs(40),
            event_write_timeout: Duration::from_millis(100),
            morning: None,
            background_calls: None,
            seed: 1,
        }
    }
}

/// How fast calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a party rings before it answers or refuses.
    pub ring: Duration,
    /// How long the parties talk.
    pub talk: Duration,
    /// The longest that a party who never answers rings, where the caller would wait longer.
    pub give_up: Duration,
}

impl Pace {
    /// For tests: calls over in a moment.
    pub fn brisk() -> Self {
        Self {
            ring: Duration::from_millis(10),
            talk: Duration::from_millis(20),
            give_up: Duration::from_millis(50),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ring: Duration::from_millis(1_500),
            talk: Duration::from_secs(3),
            give_up: Duration::from_secs(5),
        }
    }
}

/// When a call's CDRs can be read. Which of these a 3CX does is not known for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowTiming {
    /// Each at the end of its leg.
    #[default]
    LegEnd,
    /// All together at the end of the call.
    CallEnd,
}
