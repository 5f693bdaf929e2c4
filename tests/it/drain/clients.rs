//! Clients that go on asking until nobody takes their connections, and what each of them saw.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use awc::error::SendRequestError;
use awc::http::{StatusCode, header};
use awc::{Client, Connector};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::app::LIMIT;

/// What became of a call that was asked for.
#[derive(Debug)]
pub(super) enum Seen {
    /// It was answered.
    Answered {
        status: StatusCode,
        id: Option<String>,
        /// Whether the answer was the connection's last.
        last: bool,
    },
    /// There was no connection.
    NotTaken,
    /// The connection ended before an answer.
    Lost(String),
}

/// Each call with its number, which no other has.
type Log = Rc<RefCell<Vec<(u64, Seen)>>>;

/// The clients, each with connections of its own that it keeps as long as it may.
pub(super) struct Clients {
    log: Log,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    pub(super) fn start(origin: &str, count: usize) -> Self {
        let log = Log::default();
        let next = Rc::new(Cell::new(79_000_000_000_u64));
        let tasks = (0..count).map(|_| {
            let (log, next) = (Rc::clone(&log), Rc::clone(&next));
            let url = format!("{origin}/pbx-api/make-call");
            actix_rt::spawn(async move {
                let client = Client::builder().connector(Connector::new()).timeout(LIMIT);
                let client = client.finish();
                loop {
                    let number = next.get();
                    next.set(number + 1);
                    let seen = call(&client, &url, number).await;
                    let taken = !matches!(seen, Seen::NotTaken);
                    log.borrow_mut().push((number, seen));
                    if !taken {
                        return;
                    }
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            log,
        }
    }

    /// How many calls were answered 200.
    pub(super) fn placed(&self) -> usize {
        let log = self.log.borrow();
        let placed = |seen: &Seen| matches!(seen, Seen::Answered { status, .. } if status.is_success());
        log.iter().filter(|(_, seen)| placed(seen)).count()
    }

    /// Waits until the last has given up. What they saw, in order.
    pub(super) async fn ended(self) -> Vec<(u64, Seen)> {
        for task in self.tasks {
            task.await.expect("a client without a panic");
        }
        self.log.take()
    }
}

async fn call(client: &Client, url: &str, number: u64) -> Seen {
    let body = json!({ "source_caller_id": number, "caller_id": 102 });
    let mut reply = match client.post(url).send_json(&body).await {
        Ok(reply) => reply,
        Err(SendRequestError::Connect(_)) => return Seen::NotTaken,
        Err(error) => return Seen::Lost(error.to_string()),
    };
    let last = reply.headers().get(header::CONNECTION);
    let last = last.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    match reply.json::<Value>().await {
        Ok(body) => Seen::Answered {
            status: reply.status(),
            id: body["uniqueid"].as_str().map(str::to_owned),
            last,
        },
        Err(error) => Seen::Lost(error.to_string()),
    }
}
