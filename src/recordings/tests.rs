//! What is opened and what is not, on real files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::task::spawn_blocking;
use futures_util::StreamExt as _;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::directory::Directory;
use super::stream::READ_BY_CLIENT_TIMEOUT;
use super::*;
use crate::actor::{AskError, Class, Placement, State};

const LIMIT: Duration = Duration::from_secs(60);

/// A folder with a directory of recordings and something beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/110")).unwrap();
        fs::write(folder.path().join("root/110/a.wav"), "inside").unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn directory(&self) -> Directory {
        Directory::new(self.path("root"))
    }

    fn actor(&self) -> RecordingHandle {
        spawn("main", self.path("root"), Placement::Current)
    }
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn read(directory: &Directory, path: &str) -> Result<String, RecordingError> {
    directory
        .open(path)
        .map(|file| std::io::read_to_string(file).unwrap())
}

#[test]
fn only_files_beneath_the_directory_are_opened() {
    let place = Place::new();
    let root = place.path("root");
    symlink("110", root.join("same")).unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink(place.path("secret"), root.join("absolute")).unwrap();
    symlink(root.join("110/a.wav"), root.join("absolute-inside")).unwrap();
    symlink("nothing", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
    fifo(&root.join("fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join("%2e%2e"), "a name").unwrap();
    fs::write(root.join("back\\slash"), "a name too").unwrap();
    let directory = place.directory();

    for (path, text) in [
        ("110/a.wav", "inside"),
        ("/110/a.wav", "inside"),
        ("110//./a.wav", "inside"),
        ("same/a.wav", "inside"),
        ("110/../110/a.wav", "inside"),
        ("%2e%2e", "a name"),
        ("back\\slash", "a name too"),
    ] {
        assert_eq!(read(&directory, path).as_deref(), Ok(text), "{path}");
    }
    let secret = place.path("secret");
    for (path, error) in [
        ("", RecordingError::Missing),
        (".", RecordingError::Missing),
        ("110", RecordingError::Missing),
        ("110/", RecordingError::Missing),
        ("110/a.wav/", RecordingError::Missing),
        ("110/A.wav", RecordingError::Missing),
        ("110/a.wav\0", RecordingError::Missing),
        ("110/a.wav\0.mp3", RecordingError::Missing),
        ("..", RecordingError::Outside),
        ("../secret", RecordingError::Outside),
        ("110/../../secret", RecordingError::Outside),
        ("%2e%2e/secret", RecordingError::Missing),
        ("%252e%252e/secret", RecordingError::Missing),
        ("..\\secret", RecordingError::Missing),
        ("..%2fsecret", RecordingError::Missing),
        // Slashes at its beginning mean nothing, as in links.
        (secret.to_str().unwrap(), RecordingError::Missing),
        ("//etc/passwd", RecordingError::Missing),
        ("out", RecordingError::Outside),
        ("absolute", RecordingError::Outside),
        ("absolute-inside", RecordingError::Outside),
        ("dangling", RecordingError::Missing),
        ("loop", RecordingError::Outside),
        ("magic", RecordingError::Outside),
        ("fifo", RecordingError::Missing),
        ("socket", RecordingError::Missing),
        (&"x".repeat(256), RecordingError::Missing),
        (&"x/".repeat(5_000), RecordingError::Missing),
    ] {
        assert_eq!(read(&directory, path), Err(error), "{path}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_told_from_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let file = place.path("root/110/a.wav");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let directory = place.directory();
    let read = std::thread::spawn(move || {
        // To root nothing is closed. Without capabilities, which each thread has of its own, it is a user like others.
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).unwrap();
        read(&directory, "110/a.wav")
    });
    assert_eq!(read.join().unwrap(), Err(RecordingError::Denied));
}

/// Each of these changes what a path means while others open it, as often as it can.
#[test]
fn nothing_outside_is_opened_while_files_and_folders_are_swapped_for_links() {
    const OPENERS: usize = 4;
    const ENOUGH: usize = 500;
    const PATHS: [&str; 3] = ["file", "folder/secret", "deep/er/../../secret"];
    let place = Place::new();
    let root = place.path("root");
    // `file` is a file or a link out, `folder` a folder or a link to the one above, and `deep` is moved out and in
    // again while `deep/..` is walked.
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("folder/secret"), "inside").unwrap();
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::write(root.join("secret"), "inside").unwrap();
    let directory = place.directory();
    let stop = AtomicBool::new(false);
    let swap = |name: &str, target: &str, whole: &dyn Fn(&Path)| {
        let (path, aside) = (root.join(name), root.join(format!("{name}.aside")));
        while !stop.load(Ordering::Relaxed) {
            symlink(target, &aside).unwrap();
            if path.is_dir() && !path.is_symlink() {
                fs::rename(&path, root.join(format!("{name}.old"))).unwrap();
            }
            fs::rename(&aside, &path).unwrap();
            fs::remove_file(&path).unwrap();
            whole(&path);
        }
    };
    let opened = std::thread::scope(|scope| {
        scope.spawn(|| {
            swap("file", "../secret", &|path| fs::write(path, "inside").unwrap());
        });
        scope.spawn(|| {
            swap("folder", "..", &|path| {
                fs::rename(root.join("folder.old"), path).unwrap()
            });
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::rename(root.join("deep/er"), place.path("er")).unwrap();
                fs::rename(place.path("er"), root.join("deep/er")).unwrap();
            }
        });
        let openers: Vec<_> = (0..OPENERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut opened, mut refused, begun) = ([0; 3], [0; 3], Instant::now());
                    let enough = |counts: [usize; 3]| counts.into_iter().all(|count| count >= ENOUGH);
                    while !(enough(opened) && enough(refused)) && begun.elapsed() < LIMIT {
                        for (index, path) in PATHS.into_iter().enumerate() {
                            match read(&directory, path) {
                                // A file that is being written is empty for a moment.
                                Ok(text) => {
                                    assert_ne!(text, "outside", "{path}");
                                    opened[index] += 1;
                                }
                                Err(
                                    RecordingError::Missing
                                    | RecordingError::Outside
                                    | RecordingError::Unavailable(_),
                                ) => refused[index] += 1,
                                Err(other) => panic!("{path}: {other}"),
                            }
                        }
                    }
                    enough(opened) && enough(refused)
                })
            })
            .collect();
        let opened: Vec<_> = openers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        stop.store(true, Ordering::Relaxed);
        opened
    });
    for opened in opened {
        assert!(
            opened.unwrap(),
            "too few were opened or refused for this to mean anything"
        );
    }
}

fn soon() -> Instant {
    Instant::now() + LIMIT
}

async fn opened(actor: &RecordingHandle, path: &str) -> OpenedRecording {
    let path = path.to_owned();
    actor.ask(OpenRecording { path }, soon()).await.unwrap()
}

async fn all(stream: impl futures_util::Stream<Item = Result<bytes::Bytes, RecordingError>>) -> Vec<u8> {
    let pieces: Vec<_> = stream.map(Result::unwrap).collect().await;
    pieces.concat()
}

async fn running(actor: &RecordingHandle) {
    timeout(LIMIT, actor.health().reached(State::Running))
        .await
        .unwrap();
}

#[actix_rt::test]
async fn the_permit_returns_when_the_body_ends_or_is_dropped() {
    let place = Place::new();
    let actor = place.actor();
    running(&actor).await;
    let body = opened(&actor, "110/a.wav").await.reader.into_stream(2, 4);
    assert_eq!(actor.in_flight(Class::Read), 1);
    assert_eq!(all(body).await, b"side");
    assert_eq!(actor.in_flight(Class::Read), 0);
    let body = opened(&actor, "110/a.wav").await.reader.into_stream(0, 6);
    assert_eq!(actor.in_flight(Class::Read), 1);
    drop(body);
    assert_eq!(actor.in_flight(Class::Read), 0);
    let missing = OpenRecording {
        path: "110/b.wav".to_owned(),
    };
    let error = actor.ask(missing, soon()).await.unwrap_err();
    assert_eq!(error, AskError::Reply(RecordingError::Missing));
    assert_eq!(actor.in_flight(Class::Read), 0);
}

#[actix_rt::test]
async fn a_body_of_many_pieces_is_the_file_and_one_that_shrinks_is_an_error() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8).collect();
    fs::write(place.path("root/long.wav"), &bytes).unwrap();
    let actor = place.actor();
    running(&actor).await;
    let body = opened(&actor, "long.wav").await.reader.into_stream(0, 1_000_003);
    assert_eq!(all(body).await, bytes);
    let body = opened(&actor, "long.wav").await.reader.into_stream(999, 500_000);
    assert_eq!(all(body).await, bytes[999..500_999]);

    let mut body = pin!(opened(&actor, "long.wav").await.reader.into_stream(0, 1_000_003));
    body.next().await.unwrap().unwrap();
    let file = fs::File::options()
        .write(true)
        .open(place.path("root/long.wav"))
        .unwrap();
    file.set_len(10).unwrap();
    assert_eq!(body.next().await, Some(Err(RecordingError::Truncated)));
}

#[actix_rt::test]
async fn a_body_that_nobody_reads_closes_its_file_and_returns_its_permit() {
    let place = Place::new();
    fs::write(place.path("root/long.wav"), vec![1; 1_000_000]).unwrap();
    let actor = place.actor();
    running(&actor).await;
    let paused = opened(&actor, "long.wav").await.reader;
    let read = opened(&actor, "long.wav").await.reader;
    tokio::time::pause();
    let mut paused = pin!(paused.into_stream(0, 1_000_000));
    let mut read = pin!(read.into_stream(0, 1_000_000));
    for _ in 0..3 {
        // Not too slow for its reader, who takes a piece now and then.
        read.next().await.unwrap().unwrap();
        tokio::time::sleep(READ_BY_CLIENT_TIMEOUT - Duration::from_secs(1)).await;
    }
    assert_eq!(actor.in_flight(Class::Read), 1);
    assert_eq!(paused.next().await, Some(Err(RecordingError::NotTaken)));
    assert!(read.next().await.unwrap().is_ok());
}

#[actix_rt::test]
async fn a_directory_may_come_later_go_and_come_back_as_another() {
    let place = Place::new();
    fs::rename(place.path("root"), place.path("later")).unwrap();
    let actor = place.actor();
    running(&actor).await;
    let open = || {
        actor.ask(
            OpenRecording {
                path: "110/a.wav".to_owned(),
            },
            soon(),
        )
    };
    let gone = || AskError::Reply(RecordingError::Unavailable("it is not there".to_owned()));
    assert_eq!(open().await.unwrap_err(), gone());
    let told = async {
        while actor.health().report().detail["error"].is_null() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, told).await.unwrap();
    let report = actor.health().report();
    assert_eq!(
        report.detail["error"],
        "the directory cannot be used: it is not there"
    );
    assert!(!report.usable);
    assert!(
        !report
            .detail
            .to_string()
            .contains(place.0.path().to_str().unwrap())
    );

    // As a link that is turned from one to the other.
    symlink("later", place.path("root")).unwrap();
    assert!(open().await.is_ok());
    timeout(LIMIT, actor.health().became_usable()).await.unwrap();
    fs::remove_file(place.path("root")).unwrap();
    assert_eq!(open().await.unwrap_err(), gone());
    fs::create_dir_all(place.path("other/110")).unwrap();
    fs::write(place.path("other/110/a.wav"), "another").unwrap();
    symlink("other", place.path("root")).unwrap();
    let opened = open().await.unwrap();
    assert_eq!(all(opened.reader.into_stream(0, 7)).await, b"another");
}

#[actix_rt::test]
async fn more_than_the_limit_are_not_opened() {
    let place = Place::new();
    let actor = place.actor();
    running(&actor).await;
    let limit = actor.load_of(Class::Read).unwrap().limits.in_flight;
    let mut held = Vec::new();
    for _ in 0..limit {
        held.push(opened(&actor, "110/a.wav").await);
    }
    let one_more = OpenRecording {
        path: "110/a.wav".to_owned(),
    };
    let error = actor.ask(one_more.clone(), soon()).await.unwrap_err();
    assert!(matches!(error, AskError::Saturated { .. }), "{error}");
    held.pop();
    assert!(actor.ask(one_more, soon()).await.is_ok());
}

#[actix_rt::test]
async fn a_fifo_holds_nobody_up() {
    let place = Place::new();
    fifo(&place.path("root/fifo.wav"));
    let directory = place.directory();
    let opening = spawn_blocking(move || directory.open("fifo.wav").map(drop));
    assert_eq!(
        timeout(LIMIT, opening).await.unwrap().unwrap(),
        Err(RecordingError::Missing)
    );
}
