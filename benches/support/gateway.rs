//! The gateway as a process, on the processor of what is measured, with a key and an Asterisk.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use actix_web::rt::System;
use serde_json::Value;
use tokio::time::Instant;

use super::process::{LIMIT, SUBJECT, Server, free_port, pinned};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mege-gateway");

/// Far above what any run sends.
pub(crate) const PER_S: &str = "1000000";

/// A gateway that is connected to its Asterisk.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) server: Server,
    /// A key for everything.
    pub(crate) key: String,
}

/// Where the Asterisk is, and who may use it.
#[derive(Debug)]
pub(crate) struct Asterisk<'a> {
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) trunk: &'a str,
    pub(crate) context: &'a str,
}

impl Gateway {
    /// Starts it with these variables beside those for the Asterisk, in a folder that keeps its store.
    pub(crate) fn start(folder: &Path, asterisk: &Asterisk<'_>, variables: &[(&str, &str)]) -> Self {
        Self::start_as(PROGRAM, folder, asterisk, variables)
    }

    /// The same by another program.
    pub(crate) fn start_as(
        program: &str,
        folder: &Path,
        asterisk: &Asterisk<'_>,
        variables: &[(&str, &str)],
    ) -> Self {
        let key = key(folder);
        let port = free_port();
        let mut command = pinned(SUBJECT, program);
        command
            .arg("serve")
            .current_dir(folder)
            .env("APP_PORT", port.to_string())
            .env("ASTERISK_ARI_HOST", "127.0.0.1")
            .env("ASTERISK_ARI_PORT", asterisk.port.to_string())
            .env("ASTERISK_ARI_CALL_USER", asterisk.user)
            .env("ASTERISK_ARI_CALL_PASSWORD", asterisk.password)
            .env("ASTERISK_PBX3CX_TRUNK_ID", asterisk.trunk)
            .env("ASTERISK_PBX3CX_OUTGOING_CONTEXT", asterisk.context)
            .env("MEGE__AUTH__RATE__PER_KEY_PER_S", PER_S)
            .env("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", PER_S)
            .envs(variables.iter().copied());
        let server = Server::start(command, port, &folder.join("gateway.log"));
        let gateway = Self { server, key };
        gateway.until("it is connected", |detail| detail["connection"] == "connected");
        gateway
    }

    /// Where calls are asked for.
    pub(crate) fn make_call(&self) -> String {
        format!("{}/pbx-api/make-call", self.url())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// Waits until what it says of its Asterisk fits.
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        self.until_actor("asterisk.main", what, |asterisk| fits(&asterisk["detail"]));
    }

    /// Waits until what is said of an actor fits.
    pub(crate) fn until_actor(&self, actor: &str, what: &str, fits: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if fits(&status["actors"][actor]) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "not in time: {what}: {status}");
            sleep(Duration::from_millis(50));
        }
    }

    fn status(&self) -> Value {
        let ask = || async {
            let request = awc::Client::default().get(format!("{}/status", self.url()));
            let mut answer = request.bearer_auth(&self.key).send().await.expect("an answer");
            answer.json().await.expect("JSON")
        };
        std::thread::scope(|scope| {
            // A system of its own: the caller may be on one.
            let asked = scope.spawn(|| System::new().block_on(ask()));
            asked.join().expect("no panic")
        })
    }
}

/// A key in the ledger that the gateway will use, made the first time.
pub(crate) fn key(folder: &Path) -> String {
    let file = folder.join("key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return key;
    }
    let scopes = [
        "--scope",
        "calls:write",
        "--scope",
        "cdr:read",
        "--scope",
        "status:read",
    ];
    let made = pinned(SUBJECT, PROGRAM)
        .args(["keys", "create", "--name", "bench"])
        .args(scopes)
        .current_dir(folder)
        .output()
        .expect("the program");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    std::fs::write(file, &key).expect("a file");
    key
}
