//! The throughput of an authenticated GET against a bare actix-web server's, in interleaved pairs.
//!
//! `cargo bench --bench authenticated`; it needs `wrk` and `taskset` (Debian: `apt-get install wrk util-linux`). The load has
//! one CPU, and each subject the other.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use mege_gateway::simulator::{Simulator, SimulatorSettings, simulated_days};
use tokio::time::Instant;

/// Pairs of runs, and how long each takes, in seconds.
const PAIRS: usize = 10;
const SECONDS: u32 = 4;

/// Legs in the gateway's store.
const ROWS: usize = 1_000;

/// Longer no start may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Makes this program the bare server on the port in it.
const HELLO: &str = "MEGE_BENCH_HELLO";

fn main() {
    if let Ok(port) = std::env::var(HELLO) {
        actix_rt::System::new().block_on(hello(port.parse().expect("a port")));
        return;
    }
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        actix_rt::System::new().block_on(measure());
    }
}

/// The least that answers.
async fn hello(port: u16) {
    HttpServer::new(|| App::new().route("/", web::get().to(|| async { HttpResponse::Ok().body("hello") })))
        .bind(("127.0.0.1", port))
        .expect("the port")
        .run()
        .await
        .expect("a server");
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = Simulator::start(SimulatorSettings::default())
        .await
        .expect("a simulator");
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(12);
    for appearance in simulated_days(7, start, ROWS) {
        simulator.pbx().insert(&appearance.what).expect("a row");
    }
    let key = key(folder.path());
    let gateway = Subject::gateway(folder.path(), &simulator);
    let hello = Subject::hello(folder.path());
    sleep(Duration::from_secs(3));
    for path in ["/pbx-api/last-call-id", "/status"] {
        gateway.load(path, Some(&key));
        hello.load("/", None);
        let mut pairs: Vec<(f64, f64)> = (0..PAIRS)
            .map(|pair| {
                // The order changes from pair to pair.
                if pair % 2 == 0 {
                    let ours = gateway.load(path, Some(&key));
                    (ours, hello.load("/", None))
                } else {
                    let bare = hello.load("/", None);
                    (gateway.load(path, Some(&key)), bare)
                }
            })
            .collect();
        pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let [least, median, most] = [0, PAIRS / 2, PAIRS - 1].map(|i| pairs[i].0 / pairs[i].1);
        let (ours, bare) = pairs[PAIRS / 2];
        println!(
            "GET {path}: {ours:.0}/s, bare {bare:.0}/s; ratio {median:.2} (least {least:.2}, most {most:.2}) of {PAIRS} pairs"
        );
    }
}

/// Makes a key in the ledger that the gateway will use.
fn key(folder: &Path) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_mege-gateway"))
        .args([
            "keys",
            "create",
            "--name",
            "bench",
            "--scope",
            "cdr:read",
            "--scope",
            "status:read",
        ])
        .env_clear()
        .current_dir(folder)
        .output()
        .expect("the program");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("text").trim().to_owned()
}

/// A server on a CPU of its own.
struct Subject {
    process: Child,
    port: u16,
}

impl Subject {
    fn gateway(folder: &Path, simulator: &Simulator) -> Self {
        let pac = simulator.pac_address().to_string();
        let variables = [
            ("PAC_HOST", pac.as_str()),
            ("MEGE__AUTH__RATE__PER_KEY_PER_S", "1000000"),
            ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "1000000"),
        ];
        Self::start(env!("CARGO_BIN_EXE_mege-gateway"), folder, "APP_PORT", &variables)
    }

    fn hello(folder: &Path) -> Self {
        let program = std::env::current_exe().expect("this program");
        Self::start(program.to_str().expect("a path in UTF-8"), folder, HELLO, &[])
    }

    fn start(program: &str, folder: &Path, port_variable: &str, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let process = Command::new("taskset")
            .args(["--cpu-list", "1", program])
            .env_clear()
            .env(port_variable, port.to_string())
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < LIMIT, "{program} does not listen");
            sleep(Duration::from_millis(10));
        }
        Self { process, port }
    }

    /// Requests a second that were answered with 200, with 32 connections.
    fn load(&self, path: &str, key: Option<&str>) -> f64 {
        let mut wrk = Command::new("taskset");
        wrk.args(["--cpu-list", "0", "wrk", "-t1", "-c32"]);
        wrk.arg(format!("-d{SECONDS}s"));
        if let Some(key) = key {
            wrk.args(["-H", &format!("Authorization: Bearer {key}")]);
        }
        let done = wrk
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .output()
            .expect("wrk");
        let report = String::from_utf8(done.stdout).expect("text");
        assert!(
            !report.contains("Non-2xx") && !report.contains("Socket errors"),
            "{report}"
        );
        let line = report.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        line.expect("a rate").trim().parse().expect("a number")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
