//! Originates through the gateway beside originates straight at ARI, on a real Asterisk 22 whose trunk leads to SIPp, in
//! interleaved pairs.
//!
//! `cargo bench --features peers --bench real_asterisk`, as root; it needs what `tests/run.sh` installs (Asterisk in
//! `MEGE_TEST_ASTERISK_ROOT`, `sipp`) and `taskset`. The client, Asterisk and SIPp share one processor, the gateway has the
//! other. Every run has an Asterisk that was just started.
//!
//! Straight originates are of two kinds. Those of a follower have an event socket beside them, as whoever wants to know what
//! becomes of calls must have: a gateway that is connected and asked for nothing, so that Asterisk tells the same of them as of
//! those through the gateway. Those of a blind client have none, and Asterisk is spared the telling. Each originate rings a
//! busy extension: one INVITE, and no channel stays. In every run SIPp must count as many calls as were answered with success,
//! or the benchmark fails.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod parties;
#[expect(dead_code, unused_imports, reason = "the tests need all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use awc::http::Method;
use awc::{Client, ClientRequest};
use futures_util::future::join_all;
use gateway::Gateway;
use pairs::{Bar, Pace, Spread, Verdict};
use parties::{gateway, pairs, process};
use process::{LIMIT, LOAD, pinned};
use serde_json::{Value, json};
use support::asterisk::{Asterisk, CONTEXT, TRUNK, USER};
use support::eventually;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

/// Originates under way at once; the benchmark takes for each way what serves it best.
const CLIENTS: [usize; 3] = [4, 8, 16];

/// Before what counts.
const WARM: Duration = Duration::from_secs(1);

/// The extension that rings, and the number that is never dialled, as the extension is busy.
const EXTENSION: u64 = 107;
const NUMBER: u64 = 79_102_223_311;

/// A far end where everybody is busy.
const BUSY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="busy">
  <recv request="INVITE"/>
  <send retrans="500">
    <![CDATA[
      SIP/2.0 486 Busy Here
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]>
  </send>
  <recv request="ACK"/>
</scenario>
"#;

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        // Before any thread or process is started, so that all of them are there.
        let this = std::process::id().to_string();
        let pin = Command::new("taskset")
            .args(["-acp", LOAD, &this])
            .stdout(Stdio::null())
            .status();
        assert!(pin.is_ok_and(|status| status.success()), "taskset is needed");
        actix_rt::System::new().block_on(measure(Pace::from_environment()));
    }
}

async fn measure(pace: Pace) {
    pairs::say_load();
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port).await;
    let mut peers = Peers {
        sipp,
        asterisk,
        folder: tempfile::tempdir().expect("a folder"),
        lasts: Duration::from_secs(pace.seconds.into()),
    };
    let mut ways = Vec::new();
    for way in [Way::Through, Way::Follower, Way::Blind] {
        ways.push((way, peers.best(way).await));
    }
    let (follower, clients) = ways[1];
    let mut same = Vec::new();
    for _ in 0..pace.pairs.div_ceil(3) {
        let one = peers.originate(follower, clients).await;
        same.push(one / peers.originate(follower, clients).await);
    }
    let mut found = Vec::new();
    for round in 0..pace.pairs {
        let mut rates = [0.0; 3];
        for turn in 0..3 {
            let (way, clients) = ways[(round + turn) % 3];
            rates[(round + turn) % 3] = peers.originate(way, clients).await;
        }
        found.push(rates);
    }
    println!(
        "{} rounds of {} s each; SIPp counted each originate once, in every run",
        pace.pairs, pace.seconds
    );
    for (number, (way, clients)) in ways.into_iter().enumerate() {
        let rates = Spread::of(found.iter().map(|rates| rates[number]));
        println!(
            "{way:?}, {clients} at once: {:.0} originates a second",
            rates.median
        );
    }
    pairs::print(&[
        Verdict {
            what: "follower / follower (A/A; beyond 0.93 to 1.07: discard)",
            seen: Spread::of(same),
            bar: Bar::None,
        },
        Verdict {
            what: "through the gateway / straight, a follower",
            seen: Spread::of(found.iter().map(|[through, follower, _]| through / follower)),
            bar: Bar::AtLeast(0.9),
        },
        Verdict {
            what: "through the gateway / straight, blind",
            seen: Spread::of(found.iter().map(|[through, _, blind]| through / blind)),
            bar: Bar::None,
        },
    ]);
}

/// How a call is placed.
#[derive(Debug, Clone, Copy)]
enum Way {
    Through,
    Follower,
    Blind,
}

/// The real ones, and how long a run takes.
struct Peers {
    sipp: Sipp,
    asterisk: Asterisk,
    folder: TempDir,
    lasts: Duration,
}

impl Peers {
    /// How many at once serve a way best.
    async fn best(&mut self, way: Way) -> usize {
        let mut best = (0.0, 0);
        for clients in CLIENTS {
            let rate = self.originate(way, clients).await;
            println!("{way:?}, {clients} at once: {rate:.0}/s");
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        best.1
    }

    async fn originate(&mut self, way: Way, clients: usize) -> f64 {
        self.asterisk.restart().await;
        match way {
            Way::Through => {
                let gateway = self.gateway(clients);
                let (url, key) = (gateway.make_call(), gateway.key.clone());
                let body = json!({ "source_caller_id": NUMBER, "caller_id": EXTENSION });
                let request = |client: &Client| client.post(&url).bearer_auth(&key);
                let rate = self.run(clients, request, &body).await;
                gateway.until("all calls have ended", |detail| detail["open_calls"] == 0);
                rate
            }
            Way::Follower => {
                let _connected = self.gateway(clients);
                self.straight(clients).await
            }
            Way::Blind => self.straight(clients).await,
        }
    }

    async fn straight(&self, clients: usize) -> f64 {
        let root = format!("http://127.0.0.1:{}/ari/channels", self.asterisk.port());
        let body = json!({
            "endpoint": format!("PJSIP/{EXTENSION}@{TRUNK}"),
            "extension": NUMBER.to_string(),
            "context": CONTEXT,
            "callerId": NUMBER.to_string(),
            "timeout": 30,
        });
        let password = self.asterisk.password();
        let request = |client: &Client| {
            let request = client.post(format!("{root}/{}", Uuid::now_v7()));
            request.basic_auth(USER, password)
        };
        self.run(clients, request, &body).await
    }

    /// A gateway that is connected, with a permit for each client.
    fn gateway(&self, clients: usize) -> Gateway {
        let at = gateway::Asterisk {
            port: self.asterisk.port(),
            user: USER,
            password: self.asterisk.password(),
            trunk: TRUNK,
            context: CONTEXT,
        };
        let in_flight = clients.to_string();
        let variables = [
            ("MEGE__LOG__FILTER", "warn"),
            ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", in_flight.as_str()),
            // More than a run can place: how many live at once is Asterisk's part here.
            ("MEGE__ASTERISK__MAIN__MAX_LIVE_CALLS", "100000"),
        ];
        Gateway::start(self.folder.path(), &at, &variables)
    }

    /// Originates by so many clients, each of which asks again once it was answered: how many a second. SIPp's count has
    /// to be theirs, and no channel may be left.
    async fn run(&self, clients: usize, request: impl Fn(&Client) -> ClientRequest, body: &Value) -> f64 {
        let before = self.sipp.calls();
        let warm = placed(clients, WARM, &request, body).await;
        let begun = Instant::now();
        let placed = placed(clients, self.lasts, &request, body).await;
        let took = begun.elapsed();
        let mut left = Value::Null;
        eventually("no channel is left", LIMIT, async || {
            let channels = self.asterisk.ari(Method::GET, "/channels", &[]).await;
            left = channels.map(|(_, channels)| channels).unwrap_or_default();
            (left == json!([])).then_some(())
        })
        .await;
        let counted = self.sipp.settled().await - before;
        assert_eq!(counted, warm + placed, "SIPp's count is the clients'");
        per_second(placed, took)
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn per_second(placed: u64, took: Duration) -> f64 {
    placed as f64 / took.as_secs_f64()
}

/// How many originates were placed. Each that was begun is waited for.
async fn placed(
    clients: usize,
    lasts: Duration,
    request: &impl Fn(&Client) -> ClientRequest,
    body: &Value,
) -> u64 {
    let end = Instant::now() + lasts;
    let client = Client::default();
    let clients = (0..clients).map(|_| async {
        let mut placed = 0;
        while Instant::now() < end {
            let mut answer = request(&client).send_json(body).await.expect("an answer");
            let words = answer.body().await.expect("a body");
            assert!(answer.status().is_success(), "{words:?}");
            placed += 1;
        }
        placed
    });
    join_all(clients).await.into_iter().sum()
}

/// A SIPp for which everybody is busy. Dropping it ends it.
struct Sipp {
    process: Child,
    port: u16,
    statistics: PathBuf,
    _folder: TempDir,
}

impl Sipp {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (scenario, statistics) = (folder.path().join("busy.xml"), folder.path().join("statistics"));
        fs::write(&scenario, BUSY).expect("a scenario");
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        drop(socket);
        let process = sipp(&scenario, &statistics, port).spawn().expect("SIPp");
        let sipp = Self {
            process,
            port,
            statistics,
            _folder: folder,
        };
        eventually("SIPp counts", LIMIT, async || sipp.count()).await;
        sipp
    }

    /// Calls that have come in, as of the last second.
    fn calls(&self) -> u64 {
        self.count().expect("statistics")
    }

    /// The same, once it stays as it is: the statistics are written each second.
    async fn settled(&self) -> u64 {
        let mut seen = (self.calls(), Instant::now());
        eventually("SIPp's count stays", LIMIT, async || {
            let calls = self.calls();
            if calls != seen.0 {
                seen = (calls, Instant::now());
            }
            (seen.1.elapsed() > Duration::from_millis(2_500)).then_some(calls)
        })
        .await
    }

    /// The last line that is whole, by the name of its column.
    fn count(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.statistics).ok()?;
        let (whole, _) = text.rsplit_once('\n')?;
        let mut lines = whole.lines();
        let column = lines
            .next()?
            .split(';')
            .position(|name| name == "IncomingCall(C)")?;
        lines.next_back()?.split(';').nth(column)?.parse().ok()
    }
}

fn sipp(scenario: &Path, statistics: &Path, port: u16) -> Command {
    let mut command = pinned(LOAD, "sipp");
    command
        .arg("-sf")
        .arg(scenario)
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-nostdin",
            "-trace_stat",
            "-stf",
        ])
        .arg(statistics)
        .args(["-fd", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
