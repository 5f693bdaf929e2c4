//! A private Asterisk 22: own configuration, own folders, free loopback ports. Several run at once.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;
use std::{env, fs};

use awc::error::SendRequestError;
use awc::http::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::app::LIMIT;
use super::asterisk_config::{self, Settings};
use super::{eventually, process};

/// The user that ARI knows.
pub(crate) const USER: &str = "mege";
/// The PJSIP endpoint that leads to the far end.
pub(crate) const TRUNK: &str = "3cx";
/// The dialplan context that dials any number through the trunk.
pub(crate) const CONTEXT: &str = "outgoing";

/// Enters the root. `/proc` and `/dev` are mounted in a mount namespace of this process alone, so they are never
/// seen by whoever removes the root. The death signal comes after the change of user, which would clear it.
const ENTER: &str = r#"mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
    exec chroot --userspec=asterisk:asterisk "$1" setpriv --pdeathsig KILL asterisk -f -C "$2""#;

/// A running Asterisk. Dropping it kills it and removes its files.
#[derive(Debug)]
pub(crate) struct Asterisk {
    root: PathBuf,
    /// Its folder, as seen inside the root.
    home: String,
    settings: Settings,
    /// `unshare`, whose only child is Asterisk: it ends when Asterisk does.
    wrapper: Child,
}

impl Asterisk {
    /// Starts one whose trunk leads to `far_end_port` on loopback, and waits until ARI answers.
    ///
    /// Call it on the thread of the test: Asterisk dies with the thread that started it.
    pub(crate) async fn start(far_end_port: u16) -> Asterisk {
        let root = env::var_os("MEGE_TEST_ASTERISK_ROOT").map(PathBuf::from);
        let root =
            root.expect("MEGE_TEST_ASTERISK_ROOT is not set: tests/run.sh installs Asterisk and sets it");
        let home = format!("/tmp/mege-{}", Uuid::new_v4());
        let settings = Settings {
            ari_port: process::free_tcp_port(),
            sip_port: process::free_udp_port(),
            far_end_port,
            password: Uuid::new_v4().to_string(),
        };
        asterisk_config::write(&root, &home, &settings);
        let wrapper = spawn(&root, &home);
        let mut asterisk = Asterisk {
            root,
            home,
            settings,
            wrapper,
        };
        asterisk.wait_until_ready().await;
        asterisk
    }

    /// The address of ARI, `127.0.0.1`.
    pub(crate) fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port of ARI.
    pub(crate) fn port(&self) -> u16 {
        self.settings.ari_port
    }

    /// The password of [`USER`].
    pub(crate) fn password(&self) -> &str {
        &self.settings.password
    }

    /// Kills the process with SIGKILL. Nothing listens on its ports when this returns.
    pub(crate) fn kill(&mut self) {
        // Nothing here may panic: it serves `drop` too, and the test may be failing already.
        if let Ok(None) = self.wrapper.try_wait() {
            let killed =
                process::only_child(self.wrapper.id()).is_some_and(|pid| process::signal(pid, "KILL"));
            if !killed {
                // Not started yet, or gone this moment: the death signal takes what there is.
                let _ = self.wrapper.kill();
            }
            let _ = self.wrapper.wait();
        }
    }

    /// Stops the process with SIGSTOP: its ports accept, nothing answers.
    pub(crate) fn stop_process(&self) {
        assert!(process::signal(self.process(), "STOP"), "Asterisk is not stopped");
    }

    /// Whether a connection of ARI holds a request that the process has not read.
    pub(crate) fn has_unread_request(&self) -> bool {
        /// More than a ping on the event socket has.
        const LEAST: u64 = 100;
        let sockets = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let local = format!(" 0100007F:{:04X} ", self.port());
        sockets.lines().filter(|line| line.contains(&local)).any(|line| {
            let queues = line
                .split_whitespace()
                .nth(4)
                .and_then(|queues| queues.split_once(':'));
            let (_, unread) = queues.expect("the queues of a socket");
            line.split_whitespace().nth(1) == Some(local.trim())
                && u64::from_str_radix(unread, 16).is_ok_and(|bytes| bytes > LEAST)
        })
    }

    /// Lets a stopped process go on.
    pub(crate) fn continue_process(&self) {
        assert!(process::signal(self.process(), "CONT"), "Asterisk does not go on");
    }

    /// Kills it and starts it again with the same ports, password and database.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.wrapper = spawn(&self.root, &self.home);
        self.wait_until_ready().await;
    }

    /// One ARI request, straight: `path` begins after `/ari`. The body is `Null` when the reply has none.
    pub(crate) async fn ari(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(StatusCode, Value), SendRequestError> {
        let url = format!("http://{}:{}/ari{path}", self.host(), self.port());
        let request = awc::Client::new()
            .request(method, url)
            .basic_auth(USER, self.password());
        let request = request
            .query(&query)
            .expect("a query")
            .timeout(Duration::from_secs(10));
        let mut reply = request.send().await?;
        let body = reply.body().await.expect("a whole body");
        Ok((reply.status(), serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn wait_until_ready(&mut self) {
        eventually("Asterisk answers", LIMIT, async || {
            if let Some(status) = self.wrapper.try_wait().expect("Asterisk's state") {
                let log = fs::read_to_string(output(&self.root, &self.home)).unwrap_or_default();
                panic!("Asterisk ended with {status}: {log}");
            }
            // Until it has booted it refuses, or answers 503.
            let reply = self.ari(Method::GET, "/asterisk/info", &[]).await;
            reply
                .is_ok_and(|(status, _)| status == StatusCode::OK)
                .then_some(())
        })
        .await;
    }

    fn process(&self) -> u32 {
        process::only_child(self.wrapper.id()).expect("Asterisk runs")
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.root.join(&self.home[1..]));
    }
}

fn spawn(root: &Path, home: &str) -> Child {
    let root_text = root.to_str().expect("a UTF-8 path");
    let config = format!("{home}/etc/asterisk.conf");
    #[rustfmt::skip]
    let arguments = ["--mount", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", root_text, &config];
    process::spawn("unshare", arguments, &output(root, home))
}

fn output(root: &Path, home: &str) -> PathBuf {
    root.join(&home[1..]).join("output")
}
