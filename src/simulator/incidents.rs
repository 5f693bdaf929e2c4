//! A PBX that misbehaves by and by, for those who want to see what a gateway makes of it.

use std::time::Duration;

use tokio::time::sleep;

use super::{AriFault, AriOperation, HowOften, PacFault, PacOperation, Simulator};

/// How much later a slow ARI answers.
const SLOW: Duration = Duration::from_secs(2);

/// How many events come in a second of a storm: those of a thousand calls.
const STORM_PER_S: u32 = 16_000;

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// ARI answers two seconds late.
    AriSlow,
    /// ARI answers 500.
    AriErrors,
    /// The next originate is carried out, and its answer is lost.
    AnswerLost,
    /// The event socket is open and says nothing any more.
    SocketHalfOpen,
    /// There are as many events as a thousand calls a second make.
    EventStorm,
    /// The event socket is cut.
    SocketCut,
    /// Asterisk is away.
    AriDown,
    /// PAC says UNAVAILABLE.
    PacUnavailable,
    /// PAC takes requests and does not answer them.
    PacHangs,
    /// PAC answers what is no result.
    PacNonsense,
}

/// When incidents happen.
#[derive(Debug, Clone, Copy)]
pub struct IncidentPace {
    /// Before each incident.
    pub calm: Duration,
    /// From the beginning of an incident to its end.
    pub lasts: Duration,
}

impl Incident {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 10] = [
        Self::AriSlow,
        Self::PacHangs,
        Self::AnswerLost,
        Self::PacNonsense,
        Self::EventStorm,
        Self::SocketHalfOpen,
        Self::SocketCut,
        Self::PacUnavailable,
        Self::AriErrors,
        Self::AriDown,
    ];

    /// Whether it goes on for a while, and does not strike once.
    pub fn lasts(self) -> bool {
        !matches!(self, Self::AnswerLost | Self::SocketHalfOpen | Self::SocketCut)
    }

    /// What goes wrong, and what a viewer sees of it at a gateway whose Asterisk and 3CX are both named `main`.
    pub fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::AriSlow => ("ARI is slow", "make-call takes 2 s, and nothing else does"),
            Self::AriErrors => (
                "ARI answers 500",
                "make-call says 502, outcome unknown: ARI does not tell what it did",
            ),
            Self::SocketHalfOpen => (
                "ARI's event socket goes silent",
                "make-call still works; within 15 s, connects of asterisk.main on /status is one more",
            ),
            Self::EventStorm => (
                "ARI tells of 16,000 events a second",
                "nothing: make-call is as fast as ever, and asterisk.main on /status stays connected",
            ),
            Self::AnswerLost => (
                "the answer to an originate will be lost",
                "the next make-call says 502, outcome unknown; the call goes on, and is dialled once",
            ),
            Self::SocketCut => (
                "ARI's event socket is cut",
                "make-call says 503, not placed, until asterisk.main on /status is connected again",
            ),
            Self::AriDown => (
                "Asterisk is away",
                "make-call says 503, not placed; asterisk.main on /status; CDRs still come",
            ),
            Self::PacUnavailable => (
                "PAC is unavailable",
                "last_error of collector.main on /status; make-call still works",
            ),
            Self::PacHangs => (
                "PAC hangs",
                "lag_s of collector.main on /status grows; make-call is as fast as ever",
            ),
            Self::PacNonsense => (
                "PAC answers nonsense",
                "last_error of collector.main on /status; no CDR is lost",
            ),
        }
    }

    async fn begin(self, simulator: &Simulator) {
        let (asterisk, pbx) = (simulator.asterisk(), simulator.pbx());
        let from_now_on = HowOften::UntilCleared;
        let pac = |fault| pbx.fail(PacOperation::ExecuteSql, fault, from_now_on);
        match self {
            Self::AriSlow => asterisk.fail(AriOperation::Originate, AriFault::Delay(SLOW), from_now_on),
            Self::AriErrors => asterisk.fail(AriOperation::Originate, AriFault::ServerError, from_now_on),
            Self::AnswerLost => {
                asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
            }
            Self::SocketHalfOpen => asterisk.freeze_event_sockets(),
            // Goes on for as long as somebody holds it.
            Self::EventStorm => {}
            Self::SocketCut => asterisk.cut_event_sockets(),
            Self::AriDown => asterisk.stop_listening().await,
            Self::PacUnavailable => pac(PacFault::Unavailable),
            Self::PacHangs => pac(PacFault::Hang),
            Self::PacNonsense => pac(PacFault::Result("[[\"1\", \"nonsense".to_owned())),
        }
    }
}

impl Simulator {
    /// Lets each incident happen once; `tell` is told at its beginning.
    ///
    /// # Cancel safety
    /// When this is dropped, what goes wrong goes on doing so.
    pub async fn misbehave(&self, pace: IncidentPace, mut tell: impl FnMut(Incident)) {
        for incident in Incident::ALL {
            sleep(pace.calm).await;
            incident.begin(self).await;
            tell(incident);
            let is_storm = incident == Incident::EventStorm;
            let storm = is_storm.then(|| self.asterisk().storm(STORM_PER_S, pace.lasts));
            sleep(pace.lasts).await;
            drop(storm);
            self.asterisk().clear_faults();
            self.pbx().clear_faults();
            // Whatever took the port meanwhile may let go of it.
            if let Err(error) = self.asterisk().listen_again() {
                tracing::error!(%error, "the simulated Asterisk cannot come back");
            }
        }
    }
}
