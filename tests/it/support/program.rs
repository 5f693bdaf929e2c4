//! The program itself as a child process.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::eventually;

/// How long the program may take to start or to end.
const LIMIT: Duration = Duration::from_secs(30);

/// A program under way, in a directory of its own. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program {
    process: Child,
    directory: TempDir,
}

/// The program with nothing of this process's environment, in `directory`.
fn command(directory: &TempDir, arguments: &[&str], variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mege-gateway"));
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .current_dir(directory.path())
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end, with these files beside it.
pub(crate) async fn run(arguments: &[&str], variables: &[(&str, String)], files: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let mut command = command(&directory, arguments, variables);
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    // What it writes fits into the pipes.
    eventually("the program ends", LIMIT, async || {
        process.try_wait().expect("its state")
    })
    .await;
    process.wait_with_output().expect("its output")
}

impl Program {
    /// Starts `mege-gateway serve` on a free port.
    pub(crate) fn serve(variables: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let process = command(&directory, &["serve"], variables)
            .env("APP_PORT", "0")
            .env("MEGE__LOG__FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program");
        Self { process, directory }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).expect("the log")
    }

    /// Where it listens, once it does.
    pub(crate) async fn origin(&mut self) -> String {
        let port = eventually("it listens", LIMIT, async || {
            if let Some(status) = self.process.try_wait().expect("its state") {
                panic!("it ended with {status}: {}", self.log());
            }
            let log = self.log();
            let mut lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find_map(|line| line["fields"]["port"].as_u64().or_else(|| line["port"].as_u64()))
        })
        .await;
        format!("http://127.0.0.1:{port}")
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.process.id().to_string();
        // The shell's own `kill`: no crate and no unsafe code for one signal.
        let mut shell = Command::new("sh");
        let sent = shell.args(["-c", "kill -s TERM \"$1\"", "sh", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM is not sent");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("it ends", LIMIT, async || {
            self.process.try_wait().expect("its state")
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
