//! SIPp as the far end of the trunk: the extensions' phones and the numbers outside.
//!
//! One process plays every call. The called number's last digit decides: 7 is busy, 8 rings until it is cancelled,
//! 9 answers and hangs up one second later, every other rings for 0.3 s, answers and stays until the other side hangs up.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use tempfile::TempDir;

use super::app::LIMIT;
use super::{eventually, process};

const SCENARIO: &str = include_str!("sipp/far_end.xml");

/// A running SIPp. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Sipp {
    process: Child,
    port: u16,
    trace: PathBuf,
    _directory: TempDir,
}

/// An INVITE that reached the far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invite {
    /// The called number: the user part of the request's URI.
    pub(crate) user: String,
    /// The calling number: the user part of `From`.
    pub(crate) from: String,
}

impl Sipp {
    /// Starts SIPp on a free port and waits until it listens.
    pub(crate) async fn start() -> Sipp {
        let directory = tempfile::Builder::new()
            .prefix("mege-sipp-")
            .tempdir()
            .expect("a directory");
        let file = |name| directory.path().join(name);
        let text = |name| file(name).to_str().expect("a UTF-8 path").to_owned();
        fs::write(file("far_end.xml"), SCENARIO).expect("the scenario");
        let port = process::free_udp_port();
        #[rustfmt::skip]
        let mut sipp = process::spawn("sipp", [
            "-sf", &text("far_end.xml"), "-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin",
            "-trace_msg", "-message_file", &text("messages"),
            "-trace_err", "-error_file", &text("errors"),
        ], &file("output"));
        eventually("SIPp listens", LIMIT, async || {
            if let Some(status) = sipp.try_wait().expect("SIPp's state") {
                panic!(
                    "SIPp ended with {status}: {}",
                    fs::read_to_string(file("output")).unwrap_or_default()
                );
            }
            listens(port).then_some(())
        })
        .await;
        Sipp {
            process: sipp,
            port,
            trace: file("messages"),
            _directory: directory,
        }
    }

    /// Its UDP port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The INVITEs that have arrived, in order, retransmissions left out.
    pub(crate) fn invites(&self) -> Vec<Invite> {
        // No file before the first message.
        parse_invites(&fs::read_to_string(&self.trace).unwrap_or_default())
    }

    /// Waits until `count` INVITEs have arrived. Panics when `limit` has passed.
    pub(crate) async fn wait_for_invites(&self, count: usize, limit: Duration) -> Vec<Invite> {
        let arrived = async || Some(self.invites()).filter(|invites| invites.len() >= count);
        eventually(&format!("{count} INVITEs at the far end"), limit, arrived).await
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether some process has the UDP port of 127.0.0.1 open.
fn listens(port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/udp").expect("/proc/net/udp");
    sockets.contains(&format!(" 0100007F:{port:04X} "))
}

fn parse_invites(trace: &str) -> Vec<Invite> {
    let trace = trace.replace('\r', "");
    let mut calls = Vec::new();
    let mut invites = Vec::new();
    for received in trace.split("message received").skip(1) {
        // The last message may be written only in part: its time comes at the next look.
        let Some((_, message)) = received.split_once("\n\n") else {
            continue;
        };
        let Some((head, _)) = message.split_once("\n\n") else {
            continue;
        };
        let Some(uri) = head.strip_prefix("INVITE sip:") else {
            continue;
        };
        let header = |name| {
            head.lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("a whole INVITE")
        };
        let call = header("Call-ID: ");
        if !calls.contains(&call) {
            calls.push(call);
            let (_, from) = header("From: ").split_once("sip:").expect("a SIP address");
            invites.push(Invite {
                user: user_of(uri),
                from: user_of(from),
            });
        }
    }
    invites
}

/// The part before the `@`.
fn user_of(uri: &str) -> String {
    uri.split_once('@').expect("a user").0.to_owned()
}
