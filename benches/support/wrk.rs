//! `wrk`, a closed-loop client, on the processor of the load.

use std::path::Path;

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
pub(crate) struct Posted {
    pub(crate) per_second: f64,
    /// Requests that were answered, all of them with 2xx. As many more as there are connections may have been sent.
    pub(crate) answered: u64,
}

impl Posts<'_> {
    /// Posts all the time.
    pub(crate) fn run(&self, folder: &Path) -> Posted {
        let script = folder.join("post.lua");
        let text = format!(
            "wrk.method = 'POST'\nwrk.body = [[{}]]\nwrk.headers['Content-Type'] = 'application/json'\n\
             wrk.headers['Authorization'] = '{}'\n",
            self.body, self.authorization
        );
        std::fs::write(&script, text).expect("a script");
        let done = pinned(LOAD, "wrk")
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", self.seconds),
            ])
            .args(["--timeout", "10s", "-s"])
            .arg(&script)
            .arg(&self.url)
            .output()
            .expect("wrk: Debian has it in wrk");
        let report = String::from_utf8(done.stdout).expect("text");
        assert!(
            !report.contains("Non-2xx") && !report.contains("Socket errors"),
            "{} was not always answered with 2xx: {report}",
            self.url
        );
        let mut lines = report.lines().map(str::trim);
        // "79851 requests in 4.00s, 32.75MB read", some lines before "Requests/sec:  19912.03".
        let answered = lines.find_map(|line| line.split_once(" requests in "));
        let rate = lines.find_map(|line| line.strip_prefix("Requests/sec:"));
        Posted {
            per_second: rate.expect("a rate").trim().parse().expect("a number"),
            answered: answered.expect("a count").0.parse().expect("a number"),
        }
    }
}
