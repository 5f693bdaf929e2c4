//! The latency of honest requests alone and under hostile clients, open loop, in interleaved pairs: the gateway is a
//! process of its own on one processor, this program is on another.
//!
//! `cargo bench --bench hostile`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hdrhistogram::Histogram;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Pairs for each kind of hostile client, how long each run of a pair is, and honest requests in a second.
const PAIRS: usize = 6;
const RUN: Duration = Duration::from_secs(4);
const RATE: u32 = 250;

/// Honest connections, which are kept.
const CLIENTS: usize = 8;

/// Hostile clients of each kind.
const SLOW: usize = 1_000;
const NEVER_READING: usize = 100;

type Stream = TlsStream<TcpStream>;

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        pin(std::process::id(), 0);
        actix_rt::System::new().block_on(measure());
    }
}

/// Puts a process on one processor, where `taskset` is there.
fn pin(pid: u32, processor: u32) {
    let arguments = ["-apc".to_owned(), processor.to_string(), pid.to_string()];
    let pinned = Command::new("taskset")
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    if !pinned.is_ok_and(|status| status.success()) {
        println!("process {pid} is not pinned: there is no taskset");
    }
}

#[derive(Clone, Copy)]
enum Hostile {
    Nobody,
    SlowHandshakes,
    NeverReading,
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).expect("a file");
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).expect("a file");
    let (gateway, port) = Gateway::start(folder.path());
    pin(gateway.0.id(), 1);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let target = Rc::new(Target { roots, port });

    run(&target, Hostile::Nobody).await;
    println!("GET /livez over TLS, {RATE}/s open loop, {PAIRS} pairs of {RUN:?}; microseconds");
    println!(
        "{:<28} {:>7} {:>7} {:>7} {:>7}   p99 ratio of the pairs: median (min to max)",
        "", "p50", "p99", "p50", "p99"
    );
    for (name, hostile) in [
        ("nobody (A/A)", Hostile::Nobody),
        ("1,000 slow handshakes", Hostile::SlowHandshakes),
        ("100 that never read", Hostile::NeverReading),
    ] {
        let (mut alone, mut under) = (empty(), empty());
        let mut ratios = Vec::new();
        for pair in 0..PAIRS {
            let (first, second) = if pair % 2 == 0 {
                let first = run(&target, Hostile::Nobody).await;
                (first, run(&target, hostile).await)
            } else {
                let second = run(&target, hostile).await;
                (run(&target, Hostile::Nobody).await, second)
            };
            ratios.push(p99(&second) / p99(&first));
            alone.add(&first).expect("the same bounds");
            under.add(&second).expect("the same bounds");
        }
        ratios.sort_by(f64::total_cmp);
        let median = f64::midpoint(ratios[(PAIRS - 1) / 2], ratios[PAIRS / 2]);
        println!(
            "{name:<28} {:>7} {:>7} {:>7} {:>7}   {median:.2} ({:.2} to {:.2})",
            alone.value_at_quantile(0.5),
            alone.value_at_quantile(0.99),
            under.value_at_quantile(0.5),
            under.value_at_quantile(0.99),
            ratios[0],
            ratios[PAIRS - 1],
        );
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}

#[expect(clippy::cast_precision_loss, reason = "microseconds, far below 2^52")]
fn p99(histogram: &Histogram<u64>) -> f64 {
    histogram.value_at_quantile(0.99) as f64
}

/// Honest requests for a while, with hostile clients around them; and some time for those to go.
async fn run(target: &Rc<Target>, hostile: Hostile) -> Histogram<u64> {
    let mut crowd = Vec::new();
    let count = match hostile {
        Hostile::Nobody => 0,
        Hostile::SlowHandshakes => SLOW,
        Hostile::NeverReading => NEVER_READING,
    };
    for _ in 0..count {
        let target = Rc::clone(target);
        crowd.push(actix_rt::spawn(async move { target.attack(hostile).await }));
    }
    // They connect first: a handshake costs a processor more than what they do afterwards.
    sleep(Duration::from_secs(1)).await;
    let histogram = load(target).await;
    for attack in crowd {
        JoinHandle::abort(&attack);
    }
    sleep(Duration::from_secs(1)).await;
    histogram
}

/// Sends requests at their times, whatever became of those before, and measures each from its time to its answer.
async fn load(target: &Rc<Target>) -> Histogram<u64> {
    let every = Duration::from_secs(1) * CLIENTS as u32 / RATE;
    let begun = Instant::now() + Duration::from_millis(200);
    let clients = (0..CLIENTS).map(|number| {
        let target = Rc::clone(target);
        async move {
            let mut histogram = empty();
            let mut stream = target.connect().await;
            let mut answer = [0; 4096];
            let mut due = begun + every * number as u32 / CLIENTS as u32;
            while due < begun + RUN {
                tokio::time::sleep_until(due).await;
                let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
                stream.write_all(request).await.expect("a request sent");
                stream.flush().await.expect("a request sent");
                let read = stream.read(&mut answer).await.expect("an answer");
                assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "an answer");
                let micros = u64::try_from(due.elapsed().as_micros()).expect("a while");
                histogram.record(micros.max(1)).expect("within bounds");
                due += every;
            }
            histogram
        }
    });
    let mut all = empty();
    for histogram in join_all(clients).await {
        all.add(histogram).expect("the same bounds");
    }
    all
}

struct Target {
    roots: RootCertStore,
    port: u16,
}

impl Target {
    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("a connection")
    }

    async fn connect(&self) -> Stream {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect(name, self.tcp().await)
            .await
            .expect("a handshake")
    }

    /// One hostile client, which comes again whenever it is cut off.
    async fn attack(&self, hostile: Hostile) {
        loop {
            match hostile {
                Hostile::Nobody => return,
                Hostile::SlowHandshakes => {
                    // The first bytes of a handshake, of which no more comes.
                    let mut socket = self.tcp().await;
                    let _ = socket.write_all(&[0x16, 3, 1]).await;
                    let _ = socket.read(&mut [0; 64]).await;
                }
                Hostile::NeverReading => {
                    let mut stream = self.connect().await;
                    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
                    let mut ticks = interval(Duration::from_millis(100));
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    while stream.write_all(request).await.is_ok() && stream.flush().await.is_ok() {
                        ticks.tick().await;
                    }
                }
            }
        }
    }
}

/// `mege-gateway serve`; it ends with this.
struct Gateway(Child);

impl Gateway {
    fn start(folder: &Path) -> (Self, u16) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mege-gateway"))
            .arg("serve")
            .current_dir(folder)
            .env_clear()
            .envs([
                ("APP_PORT", "0"),
                ("HTTP_OPTIONS", "https"),
                ("MEGE__HTTP__TLS_CERTIFICATE", "tls.crt"),
                ("MEGE__HTTP__TLS_KEY", "tls.key"),
                ("MEGE__LOG__FILTER", "error,mege_gateway::command=info"),
                ("MEGE__LOG__FORMAT", "json"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let port = lines.by_ref().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
            u16::try_from(line["fields"]["port"].as_u64()?).ok()
        });
        // What it says further on is read and dropped: a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        (Self(child), port.expect("a port"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
