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

impl Posts<'_> {
    /// Posts all the time. Requests a second; every one was answered with 2xx.
    pub(crate) fn per_second(&self, folder: &Path) -> f64 {
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
        let line = report.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        line.expect("a rate").trim().parse().expect("a number")
    }
}
