//! Child processes and ports of a test.

#[cfg(feature = "peers")]
use std::fs::File;
use std::net::TcpListener;
#[cfg(feature = "peers")]
use std::net::UdpSocket;
#[cfg(feature = "peers")]
use std::path::Path;
use std::process::Command;
#[cfg(feature = "peers")]
use std::process::{Child, Stdio};

/// A TCP port of loopback that nobody has at the moment.
pub(crate) fn free_tcp_port() -> u16 {
    free_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

#[cfg(feature = "peers")]
/// A UDP port of loopback that nobody has at the moment.
pub(super) fn free_udp_port() -> u16 {
    free_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}

/// Not one of those that the kernel gives to whoever takes any: another test could get it before it is used.
fn free_port(is_free: impl Fn(u16) -> bool) -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..20_000))
        .find(|port| is_free(*port))
        .expect("it goes on for ever")
}

#[cfg(feature = "peers")]
/// Starts `program`, its output in `log`. It dies with the calling thread: a test that is killed leaves nothing.
pub(super) fn spawn<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>, log: &Path) -> Child {
    let output = File::create(log).expect("a log file");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle of the log file"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// Sends `signal` (`KILL`, `STOP`, `CONT`) to the process `pid`. False when it could not be sent.
pub(super) fn signal(pid: u32, signal: &str) -> bool {
    // The shell's own `kill`: no crate and no unsafe code for three signals.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &pid.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(feature = "peers")]
/// The one child process of `pid`, if it has one.
pub(super) fn only_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.trim().parse().ok()
}
