//! `wrk`, a closed-loop client, on the processor of the load.

use std::path::Path;
use std::process::Command;

use super::process::{LOAD, pinned};

/// What is posted, by how many connections for how long.
#[derive(Debug)]
pub(crate) struct Posts<'a> {
    pub(crate) url: String,
    pub(crate) body: &'a str,
    /// The whole value of `Authorization`.
    pub(crate) authorization: &'a str,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) per_second: f64,
    /// Requests that were answered, all of them with 2xx. As many more as there are connections may have been sent.
    pub(crate) answered: u64,
}

impl Posts<'_> {
    /// Posts all the time.
    pub(crate) fn run(&self, folder: &Path) -> Answered {
        let script = folder.join("post.lua");
        let text = format!(
            "wrk.method = 'POST'\nwrk.body = [[{}]]\nwrk.headers['Content-Type'] = 'application/json'\n\
             wrk.headers['Authorization'] = '{}'\n",
            self.body, self.authorization
        );
        std::fs::write(&script, text).expect("a script");
        let mut wrk = wrk(self.connections, self.seconds);
        wrk.arg("-s").arg(&script);
        answered(wrk, &self.url)
    }
}

/// What is asked for, by how many connections for how long.
#[derive(Debug)]
pub(crate) struct Gets<'a> {
    pub(crate) url: String,
    /// The whole value of `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    pub(crate) connections: usize,
    pub(crate) seconds: u32,
}

impl Gets<'_> {
    /// Asks all the time.
    pub(crate) fn run(&self) -> Answered {
        let mut wrk = wrk(self.connections, self.seconds);
        if let Some(authorization) = self.authorization {
            wrk.args(["-H", &format!("Authorization: {authorization}")]);
        }
        answered(wrk, &self.url)
    }
}

fn wrk(connections: usize, seconds: u32) -> Command {
    let mut wrk = pinned(LOAD, "wrk");
    wrk.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    wrk.args(["--timeout", "10s"]);
    wrk
}

/// Runs it to its end. Panics unless all was answered with 2xx.
fn answered(mut wrk: Command, url: &str) -> Answered {
    let done = wrk.arg(url).output().expect("wrk: Debian has it in wrk");
    let report = String::from_utf8(done.stdout).expect("text");
    assert!(
        !report.contains("Non-2xx") && !report.contains("Socket errors"),
        "{url} was not always answered with 2xx: {report}"
    );
    let mut lines = report.lines().map(str::trim);
    // "79851 requests in 4.00s, 32.75MB read", some lines before "Requests/sec:  19912.03".
    let answered = lines.find_map(|line| line.split_once(" requests in "));
    let rate = lines.find_map(|line| line.strip_prefix("Requests/sec:"));
    Answered {
        per_second: rate.expect("a rate").trim().parse().expect("a number"),
        answered: answered.expect("a count").0.parse().expect("a number"),
    }
}
