//! Parties of a benchmark: processes, each on a processor of its own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tokio::time::Instant;

/// The processor of the load and of the back end, and that of what is measured.
pub(crate) const LOAD: &str = "0";
pub(crate) const SUBJECT: &str = "1";

/// Longer no start may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A command that runs on one processor, without this program's variables.
pub(crate) fn pinned(processor: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["--cpu-list", processor, program])
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .stdin(Stdio::null());
    command
}

/// A server of loopback. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it and waits until it listens on the port that it was told.
    pub(crate) fn start(mut command: Command, port: u16, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log");
        let process = command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("taskset: Debian has it in util-linux");
        let mut server = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.process.try_wait().expect("its state");
            assert!(
                ended.is_none() && begun.elapsed() < LIMIT,
                "it does not listen: {command:?}"
            );
            sleep(Duration::from_millis(10));
        }
        server
    }

    /// The memory that it holds, in kB.
    pub(crate) fn resident(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("its memory").parse().expect("a number")
    }

    /// The processor time that it has taken so far, in microseconds.
    pub(crate) fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its times");
        // After the name in brackets; user and system time are the 14th and 15th field, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        ticks * 10_000
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A TCP port of loopback that nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
