//! Requests of every kind at once, and what became of each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use awc::http::StatusCode;
use mege_gateway::actor::AskError;
use mege_gateway::pac::{ExecuteSql, PacError, Statement};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::app::{LIMIT, Reply, TestApp};
use crate::support::eventually;

/// How many clients ask for each kind, and how long each of them waits between two requests.
const CLIENTS: usize = 2;
const PAUSE: Duration = Duration::from_millis(5);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MakeCall,
    LastCallId,
    Cdr,
    Pac,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::MakeCall, Self::LastCallId, Self::Cdr, Self::Pac];
}

/// A request and its answer: an id where there is one, or the error.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// The number that was called.
    pub(super) number: String,
    pub(super) outcome: Result<String, Refused>,
}

/// What an error says.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) outcome: String,
    pub(super) retryable: bool,
    /// All of it, for whoever reads of a test that failed.
    _text: String,
}

/// Load that goes on until it is stopped.
pub(super) struct Load {
    stop: Rc<Cell<bool>>,
    seen: Rc<RefCell<Vec<Seen>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(app: &Rc<TestApp>) -> Self {
        let mut load = Self {
            stop: Rc::default(),
            seen: Rc::default(),
            clients: Vec::new(),
        };
        let next = Rc::new(Cell::new(79_000_000_000_u64));
        for kind in Kind::ALL.into_iter().cycle().take(Kind::ALL.len() * CLIENTS) {
            let (app, next) = (Rc::clone(app), Rc::clone(&next));
            let (stop, seen) = (Rc::clone(&load.stop), Rc::clone(&load.seen));
            load.clients.push(actix_rt::spawn(async move {
                while !stop.get() {
                    let number = next.get();
                    next.set(number + 1);
                    let outcome = ask(&app, kind, number).await;
                    seen.borrow_mut().push(Seen {
                        kind,
                        number: number.to_string(),
                        outcome,
                    });
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        load
    }

    /// Waits until `count` more requests of each kind have gone well.
    pub(super) async fn goes_well(&self, count: usize) {
        let from = self.seen.borrow().len();
        eventually("the load goes on", LIMIT, async || {
            let seen = self.seen.borrow();
            let well = |kind| {
                let of_kind = seen.iter().skip(from).filter(|seen| seen.kind == kind);
                of_kind.filter(|seen| seen.outcome.is_ok()).count()
            };
            Kind::ALL
                .into_iter()
                .all(|kind| well(kind) >= count)
                .then_some(())
        })
        .await;
    }

    /// Lets what is under way end. What was seen, in order.
    pub(super) async fn stop(self) -> Vec<Seen> {
        self.stop.set(true);
        for client in self.clients {
            client.await.expect("a client without a panic");
        }
        self.seen.take()
    }
}

async fn ask(app: &TestApp, kind: Kind, number: u64) -> Result<String, Refused> {
    match kind {
        Kind::MakeCall => read(&app.make_call(102, number).await),
        Kind::LastCallId => read(&app.get("/pbx-api/last-call-id").await),
        Kind::Cdr => read(&app.post("/pbx-api/cdr", r#"{"call_id":"0"}"#).await),
        Kind::Pac => ask_pac(app)
            .await
            .map(|()| String::new())
            .map_err(|error| Refused {
                outcome: String::new(),
                retryable: true,
                _text: error.to_string(),
            }),
    }
}

fn read(reply: &Reply) -> Result<String, Refused> {
    let body = reply.json();
    if reply.status == StatusCode::OK {
        return Ok(body["uniqueid"].as_str().unwrap_or_default().to_owned());
    }
    let error = &body["error"];
    Err(Refused {
        outcome: error["outcome"].as_str().unwrap_or_default().to_owned(),
        retryable: error["retryable"] == true,
        _text: reply.body.clone(),
    })
}

/// Asks PAC for next to nothing.
pub(super) async fn ask_pac(app: &TestApp) -> Result<(), AskError<PacError>> {
    let statement = Statement::new("one", "SELECT 1", &[]);
    let pac = &app.integrations.pac["main"];
    pac.ask(ExecuteSql { statement }, Instant::now() + LIMIT)
        .await
        .map(drop)
}
