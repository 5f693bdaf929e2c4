//! A disk of a few megabytes, which a test may fill.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::program::Program;

/// The program's stores lie on it. Nobody else sees it, and it outlives the programs that it serves.
pub(crate) struct SmallDisk {
    holder: Child,
    folder: TempDir,
}

impl SmallDisk {
    pub(crate) fn new(megabytes: usize) -> SmallDisk {
        let folder = tempfile::tempdir().expect("a folder");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(r#"mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec sleep infinity"#)
            .args(["sh", &format!("{megabytes}m")])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut said = String::new();
        let out = holder.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut said).expect("a line");
        assert_eq!(said, "mounted\n");
        SmallDisk { holder, folder }
    }

    /// Starts `mege-gateway serve` with its stores on this disk.
    pub(crate) fn serve(&self, variables: &[(&str, String)]) -> Program {
        let mut variables = variables.to_vec();
        let store = self.folder.path().join("mege.sqlite");
        variables.push(("DATABASE_URL", format!("sqlite:{}", store.display())));
        let mut enter = Command::new("nsenter");
        enter.args(["--user", "--mount", "--preserve-credentials", "--target"]);
        enter.arg(self.holder.id().to_string());
        Program::serve_by(enter, &variables)
    }

    /// Where a file of it is for others.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        let seen = folder.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", self.holder.id()))
            .join(seen)
            .join(name)
    }

    /// Takes all the room that is left, byte by byte.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.file("filler")).expect("a file");
        for piece in [64 * 1024, 4096, 1] {
            let zeros = vec![0; piece];
            while file.write_all(&zeros).is_ok() {}
        }
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.file("filler")).expect("room again");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It holds nothing that anybody misses.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
