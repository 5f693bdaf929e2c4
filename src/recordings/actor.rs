//! The only door to the recordings of one 3CX.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext as _, Context, Handler, ResponseFuture};
use actix_files::NamedFile;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::directory::Directory;
use super::error::RecordingError;
use super::messages::{OpenRecording, OpenedRecording};
use super::reader::Reader;
use crate::actor::{self, ActorHandle, Ask, Class, Health, Limits, Permit, Placement, Reply, Spawn};

/// Recordings that are open at once, and who may wait for one to be closed. Each holds a descriptor, while it is read
/// also a piece of it in memory, and at worst a thread that hangs.
const LIMITS: Limits = Limits {
    in_flight: 256,
    waiting: 64,
    wait_ms: 1_000,
};

/// Between two looks at the directory, and how long one may take before that is said.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to the recordings of one 3CX.
pub type RecordingHandle = ActorHandle<RecordingActor>;

/// Owns the directory of one 3CX's recordings; reached through its [`RecordingHandle`].
#[derive(derive_more::Debug)]
pub struct RecordingActor {
    directory: Arc<Directory>,
    health: Health,
}

/// What `/status` shows of the directory.
#[derive(Debug, Serialize)]
struct DirectoryHealth {
    /// Why recordings cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Starts the actor `recordings.{name}`. The directory need not be there: it is looked for again and again.
pub fn spawn(name: &str, directory: PathBuf, placement: Placement) -> RecordingHandle {
    let spawn = Spawn::new(
        format!("recordings.{name}"),
        placement,
        vec![(Class::Read, LIMITS)],
    );
    actor::spawn(spawn, move |health| RecordingActor {
        directory: Arc::new(Directory::new(directory.clone())),
        health: health.clone(),
    })
}

impl Actor for RecordingActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Within the context: it ends with this life, and a panic in it is the actor's.
        let probing = keep_probing(Arc::clone(&self.directory), self.health.clone());
        context.spawn(wrap_future(probing));
    }
}

/// Says again and again whether recordings could be opened. A look that hangs is waited for: there is never a second.
async fn keep_probing(directory: Arc<Directory>, health: Health) {
    let mut before = None;
    let mut publish = |found: Result<(), RecordingError>| {
        let error = found.err().map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|_| error != before) {
            tracing::warn!(actor = health.name(), error, "recordings cannot be opened");
        }
        health.publish(error.is_none(), &DirectoryHealth { error: error.clone() });
        before = error;
    };
    loop {
        let directory = Arc::clone(&directory);
        let mut checking = spawn_blocking(move || directory.check());
        let found = match timeout(PROBE_TIMEOUT, &mut checking).await {
            Ok(found) => found,
            Err(_) => {
                publish(Err(RecordingError::Unavailable("no answer in time".to_owned())));
                checking.await
            }
        };
        publish(found.unwrap_or_else(|error| Err(join_error(error))));
        sleep(PROBE_INTERVAL).await;
    }
}

impl Handler<Ask<OpenRecording>> for RecordingActor {
    type Result = ResponseFuture<Reply<OpenRecording>>;

    fn handle(&mut self, ask: Ask<OpenRecording>, _: &mut Context<Self>) -> Self::Result {
        let directory = Arc::clone(&self.directory);
        ask.run_with_permit(|OpenRecording { path }, _, permit| async move {
            let threads = Handle::current();
            // With the permit: a thread that hangs counts as in flight, whoever has given up on it.
            let opening = spawn_blocking(move || open(&directory, &path, permit, threads));
            opening.await.unwrap_or_else(|error| Err(join_error(error)))
        })
    }
}

fn open(
    directory: &Directory,
    path: &str,
    permit: Option<Permit>,
    threads: Handle,
) -> Result<OpenedRecording, RecordingError> {
    let file = directory.open(path)?;
    let failed = |error: std::io::Error| RecordingError::Unavailable(error.kind().to_string());
    // Here, as it asks the file system what the file is.
    let named = NamedFile::from_file(file.try_clone().map_err(failed)?, path).map_err(failed)?;
    Ok(OpenedRecording {
        file: named,
        reader: Reader::new(file, permit, threads),
    })
}

/// What became of work on a thread that did not come back: a panic goes on where it is caught and counted.
fn join_error(error: JoinError) -> RecordingError {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => RecordingError::Unavailable("the actor is stopping".to_owned()),
    }
}
