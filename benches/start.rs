//! How soon the program answers, and how much memory it holds when idle.
//!
//! `cargo bench --bench start`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// How often the start is measured.
const STARTS: usize = 9;

/// How long the program is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);

/// Longer no start may take.
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| Program::start("demo").took).collect();
    starts.sort();
    println!(
        "demo, from its start to the first 200: median {:?}, longest {:?} of {STARTS}",
        starts[STARTS / 2],
        starts[STARTS - 1]
    );
    for command in ["serve", "demo"] {
        let program = Program::start(command);
        sleep(IDLE);
        println!("{command}, resident after {IDLE:?}: {}", program.resident());
    }
}

/// The program under way, in a directory of its own.
struct Program {
    process: Child,
    took: Duration,
    _directory: TempDir,
}

impl Program {
    /// Starts it and waits for the first answer of 200.
    fn start(command: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let begun = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_mege-gateway"))
            .arg(command)
            .env_clear()
            .env("APP_PORT", port.to_string())
            // A killed demo leaves its folder behind; it goes with this one.
            .env("TMPDIR", directory.path())
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        while !answers(port) {
            assert!(begun.elapsed() < LIMIT, "{command} does not answer");
            sleep(Duration::from_millis(1));
        }
        Self {
            process,
            took: begun.elapsed(),
            _directory: directory,
        }
    }

    /// The memory it holds, as the kernel says it.
    fn resident(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.expect("its memory").trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether `/readyz` is answered with 200.
fn answers(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    socket.write_all(request.as_bytes()).is_ok()
        && socket.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
