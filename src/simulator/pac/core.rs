//! The simulated 3CX itself: what PAC's services, calls and tests share.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tonic::{Response, Status};

use super::clock::Clock;
use super::connection::Scissors;
use super::database::Database;
use super::faults::{Faults, PacFault, PacOperation};
use super::instead::Instead;
use super::live::LiveCalls;
use crate::cdr::{Cdr, Recording};
use crate::simulator::SimulatorSettings;
use crate::simulator::party::Script;
use crate::simulator::recorder::Recorder;
use crate::simulator::rows::Mint;

#[derive(Debug)]
pub(in crate::simulator) struct Core {
    pub(in crate::simulator) settings: Arc<SimulatorSettings>,
    recorder: Option<Recorder>,
    pub(super) clock: Arc<Clock>,
    pub(super) database: Database,
    pub(super) faults: Faults,
    pub(super) live: LiveCalls,
    pub(in crate::simulator) mint: Mint,
    pub(super) script: Arc<Script>,
    pub(super) runtime: Handle,
}

impl Core {
    pub(in crate::simulator) fn new(
        settings: Arc<SimulatorSettings>,
        script: Arc<Script>,
        runtime: Handle,
    ) -> rusqlite::Result<Arc<Self>> {
        let clock = Arc::new(Clock::default());
        let recorder = settings
            .recordings
            .clone()
            .map(|folder| Recorder::new(folder, settings.longest_recording, settings.seed));
        Ok(Arc::new(Self {
            database: Database::open(Arc::clone(&clock))?,
            settings,
            recorder,
            clock,
            faults: Faults::default(),
            live: LiveCalls::default(),
            mint: Mint::default(),
            script,
            runtime,
        }))
    }

    pub(in crate::simulator) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes rows visible now, and their recordings later.
    pub(in crate::simulator) fn publish(self: &Arc<Self>, legs: &[Cdr], recordings: Vec<Recording>) {
        for leg in legs {
            if let Err(error) = self.database.put_cdr(leg) {
                tracing::error!(%error, "the simulator cannot store a cdr");
            }
        }
        if recordings.is_empty() {
            return;
        }
        let core = Arc::clone(self);
        self.runtime.spawn(async move {
            sleep(core.settings.recording_delay).await;
            for mut recording in recordings {
                if let Some(recorder) = &core.recorder
                    && let Err(error) = recorder.record(&mut recording).await
                {
                    tracing::error!(%error, "the simulator cannot write a recording");
                    continue;
                }
                if let Err(error) = core.database.put_recording(&recording) {
                    tracing::error!(%error, "the simulator cannot store a recording");
                }
            }
        });
    }

    /// Runs a task until the simulator stops.
    pub(in crate::simulator) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Carries out a request, unless a fault strikes it. `wrong` is the reply to a fault that changes the reply.
    pub(super) async fn serve<T>(
        &self,
        operation: PacOperation,
        connection: Option<Scissors>,
        wrong: impl FnOnce(PacFault) -> Option<T>,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<Response<T>, Status> {
        let (fault, unanswered) = self.faults.request(operation);
        let mut instead = None;
        let reply = match fault {
            None => work.await,
            Some(PacFault::Hang) => std::future::pending().await,
            Some(PacFault::Delay(delay)) => {
                sleep(delay).await;
                work.await
            }
            Some(PacFault::Unavailable) => {
                Err(Status::unavailable("the simulator was told to be unavailable"))
            }
            Some(PacFault::DropConnection) => {
                let reply = work.await;
                unanswered.answered();
                if let Some(connection) = connection {
                    connection.cut();
                }
                return reply.map(Response::new);
            }
            Some(PacFault::Message(message)) => {
                instead = Some(Instead::message(message));
                work.await
            }
            Some(PacFault::Body(body)) => {
                instead = Some(Instead::Bytes(body));
                work.await
            }
            Some(PacFault::Oversized(bytes)) => {
                let sent = Arc::clone(&self.faults.oversized);
                instead = Some(Instead::Oversized { bytes, sent });
                work.await
            }
            Some(fault) => match wrong(fault) {
                Some(reply) => Ok(reply),
                None => work.await,
            },
        };
        unanswered.answered();
        let mut response = Response::new(reply?);
        if let Some(instead) = instead {
            response.extensions_mut().insert(instead);
        }
        Ok(response)
    }
}
