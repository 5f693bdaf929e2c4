//! The program itself, run as its users run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

use super::app::LIMIT;
use super::{eventually, process};

pub(crate) use super::process::free_tcp_port;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mege-gateway");

/// A running `mege-gateway` in a folder of its own, with no variables but those given. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    output: Said,
    errors: Said,
    readers: Vec<JoinHandle<()>>,
    folder: TempDir,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Its output, then its errors.
    pub(crate) said: String,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// The line that begins with `name`.
    pub(crate) fn line(&self, name: &str) -> &str {
        let mut lines = self.said.lines();
        let line = lines.find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no line of {name}: {}", self.said))
    }
}

type Said = Arc<Mutex<String>>;

/// Runs the program to its end, with these files beside it.
pub(crate) async fn run(arguments: &[&str], variables: &[(&str, String)], files: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    Program::start_in(folder, arguments, variables).ended().await
}

impl Program {
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, String)]) -> Program {
        Self::start_in(tempfile::tempdir().expect("a folder"), arguments, variables)
    }

    /// Starts `mege-gateway serve` on a free port.
    pub(crate) fn serve(variables: &[(&str, String)]) -> Program {
        Self::start(&["serve"], &listening(variables))
    }

    /// As [`serve`](Self::serve), with at most so many descriptors.
    pub(crate) fn serve_with_descriptors(count: usize, variables: &[(&str, String)]) -> Program {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={count}:{count}"));
        Self::serve_by(command, variables)
    }

    /// As [`serve`](Self::serve), by a command that becomes the program it is given.
    pub(crate) fn serve_by(mut command: Command, variables: &[(&str, String)]) -> Program {
        command.args([PROGRAM, "serve"]);
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_command(command, folder, &listening(variables))
    }

    fn start_in(folder: TempDir, arguments: &[&str], variables: &[(&str, String)]) -> Program {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        Self::start_command(command, folder, variables)
    }

    fn start_command(mut command: Command, folder: TempDir, variables: &[(&str, String)]) -> Program {
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        let mut child = command
            .env_clear()
            .env("TMPDIR", folder.path().join("tmp"))
            // Nobody asks whether to send requests here, unless the test does.
            .env("MEGE__HTTP__DRAIN_MS", "0")
            .env("MEGE__STORE__TIMEOUT_MS", "60000")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("its output");
        let err = child.stderr.take().expect("its errors");
        let (output, errors) = (Said::default(), Said::default());
        let readers = vec![read(out, &output), read(err, &errors)];
        Program {
            child,
            output,
            errors,
            readers,
            folder,
        }
    }

    /// What it has said so far: its output, then its errors.
    pub(crate) fn said(&self) -> String {
        [&self.output, &self.errors]
            .map(|said| said.lock().expect("a reader that did not panic").clone())
            .concat()
    }

    /// Where it runs, and keeps its stores.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its temporary folder.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder().join("tmp")
    }

    /// Waits until it says `text`.
    pub(crate) async fn says(&self, text: &str) {
        eventually(&format!("it says {text}"), LIMIT, async || {
            self.said().contains(text).then_some(())
        })
        .await;
    }

    /// Where it listens, once it says so in its log.
    pub(crate) async fn origin(&mut self) -> String {
        let port = eventually("it listens", LIMIT, async || {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("it ended with {status}: {}", self.said());
            }
            let said = self.said();
            let mut lines = said
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find_map(|line| line["fields"]["port"].as_u64())
        })
        .await;
        format!("http://127.0.0.1:{port}")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sets how many descriptors it may have from here on; it may raise that again no further than it could before.
    pub(crate) fn limit_descriptors(&self, count: usize) {
        let limit = [format!("--pid={}", self.pid()), format!("--nofile={count}:")];
        let set = Command::new("prlimit").args(limit).status();
        assert!(set.expect("prlimit runs").success(), "a limit set");
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(process::signal(self.child.id(), signal), "no signal {signal}");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Ended {
        let status: ExitStatus = eventually("it ends", LIMIT, async || {
            self.child.try_wait().expect("its state")
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader that did not panic");
        }
        let text = |said: &Said| said.lock().expect("a reader that did not panic").clone();
        Ended {
            code: status.code(),
            said: self.said(),
            output: text(&self.output),
            errors: text(&self.errors),
        }
    }
}

/// These variables, for a program that says where it listens.
fn listening<'a>(variables: &[(&'a str, String)]) -> Vec<(&'a str, String)> {
    let more = [("APP_PORT", "0"), ("MEGE__LOG__FORMAT", "json")];
    let more = more.map(|(name, value)| (name, value.to_owned()));
    [variables, &more].concat()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended on its own: then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what comes, in a thread: a pipe that is not read would stop the program.
fn read(mut pipe: impl std::io::Read + Send + 'static, said: &Said) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            said.lock().expect("nobody panicked").push_str(&text);
        }
    })
}
