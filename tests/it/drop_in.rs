//! A client written for the original, on simulated days with long calls: it asks for the last call id, then for what
//! comes after the ids that it was given. It ends with every row.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use awc::Client;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use mege_gateway::simulator::{Appearance, Row, SimulatedPbx, simulated_days};
use serde_json::{Value, json};

use crate::support::app::{LIMIT, TestApp, client_at, simulated, simulator};
use crate::support::eventually;

const ROWS: usize = 1_500;

/// How much simulated time passes between two polls, and how much real time meanwhile: two polls of the source.
const STEP: SignedDuration = SignedDuration::from_mins(20);
const STEP_TAKES: Duration = Duration::from_millis(20);

/// Which of the ids that it has seen a client sends.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Greatest,
    LastRow,
}

/// A client with its own address.
struct Poller {
    client: Client,
    root: String,
    habit: Habit,
    call_id: String,
    has: BTreeSet<String>,
}

impl Poller {
    /// A client that begins with the last call id.
    async fn start(app: &TestApp, address: u8, habit: Habit) -> Self {
        let mut poller = Self {
            client: client_at(Ipv4Addr::new(127, 0, 0, address)),
            root: app.root.clone(),
            habit,
            call_id: String::new(),
            has: BTreeSet::new(),
        };
        let url = format!("{}/pbx-api/last-call-id", poller.root);
        let mut reply = poller.client.get(url).send().await.expect("a reply");
        let last: Value = reply.json().await.expect("JSON");
        text(&last, "call_id").clone_into(&mut poller.call_id);
        poller
    }

    /// What the gateway answers to `call_id`.
    async fn after(&self, call_id: &str) -> Vec<Value> {
        let url = format!("{}/pbx-api/cdr", self.root);
        let request = self.client.post(url).send_json(&json!({ "call_id": call_id }));
        let mut reply = request.await.expect("a reply");
        assert!(reply.status().is_success(), "{}", reply.status());
        reply.json().limit(64 * 1024 * 1024).await.expect("an array")
    }

    async fn poll(&mut self) {
        let rows = self.after(&self.call_id).await;
        self.has
            .extend(rows.iter().map(|row| text(row, "cdr_id").to_owned()));
        let mut ids = rows.iter().map(|row| text(row, "call_id"));
        match self.habit {
            Habit::Greatest => {
                let seen = ids.max().unwrap_or_default().to_owned();
                self.call_id = seen.max(std::mem::take(&mut self.call_id));
            }
            Habit::LastRow => {
                if let Some(last) = ids.next_back() {
                    last.clone_into(&mut self.call_id);
                }
            }
        }
    }

    /// How many of these legs it does not have.
    fn misses(&self, legs: &BTreeSet<String>) -> usize {
        legs.difference(&self.has).count()
    }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().expect("text")
}

/// Everything that a gateway has stored, as somebody sees it who asks for it all.
async fn stored(app: &TestApp) -> BTreeSet<String> {
    let anyone = Poller {
        client: client_at(Ipv4Addr::new(127, 0, 0, 99)),
        root: app.root.clone(),
        habit: Habit::Greatest,
        call_id: String::new(),
        has: BTreeSet::new(),
    };
    let rows = anyone.after("0").await;
    rows.iter().map(|row| text(row, "cdr_id").to_owned()).collect()
}

#[actix_rt::test]
async fn a_client_of_the_original_ends_with_every_row() {
    two_days(&[]).await;
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn a_client_of_the_original_ends_with_every_row_of_postgresql() {
    let database = crate::support::postgres::fresh_database().await;
    two_days(&[("DATABASE_URL", database.url.clone())]).await;
}

/// Two gateways on one 3CX, the second with late rows switched off, and clients of both habits at each.
async fn two_days(store: &[(&'static str, String)]) {
    let simulator = simulator().await;
    let pbx = simulator.pbx();
    let start: Timestamp = "2026-02-10T00:00:00Z".parse().expect("a moment");
    let mut to_come = simulated_days(11, start, ROWS);
    to_come.reverse();
    let mut now = start + SignedDuration::from_hours(6);
    let mut legs = BTreeSet::new();
    appear(&mut to_come, now, pbx, &mut legs);
    let before = legs.clone();

    let mut variables = simulated(&simulator);
    variables.push(("MEGE__PAC__MAIN__COLLECTOR__INTERVAL_MS", "100".to_owned()));
    variables.push(("MEGE__PAC__MAIN__COLLECTOR__SWEEP_INTERVAL_MS", "1000".to_owned()));
    variables.push(("MEGE__PAC__MAIN__COLLECTOR__OVERLAP_S", "3600".to_owned()));
    let mut without = variables.clone();
    without.push(("MEGE__CDR__LATE_ROWS", "false".to_owned()));
    variables.extend(store.iter().cloned());
    let app = TestApp::start(&variables).await;
    let as_the_original = TestApp::start(&without).await;

    let mut rng = Rng::with_seed(3);
    let mut pollers = Vec::new();
    for app in [&app, &as_the_original] {
        app.ready().await;
        all_stored(app, &legs).await;
        pollers.push(Poller::start(app, 2, Habit::Greatest).await);
        pollers.push(Poller::start(app, 3, Habit::LastRow).await);
    }
    while !to_come.is_empty() {
        now += STEP;
        appear(&mut to_come, now, pbx, &mut legs);
        tokio::time::sleep(STEP_TAKES.mul_f64(0.5 + rng.f64())).await;
        for poller in &mut pollers {
            // Some replies are lost on their way.
            if rng.u8(0..10) == 0 {
                poller.after(&poller.call_id).await;
            } else if rng.bool() {
                poller.poll().await;
            }
        }
    }
    all_stored(&app, &legs).await;
    all_stored(&as_the_original, &legs).await;
    assert_eq!(legs.len(), ROWS);
    let due: BTreeSet<String> = legs.difference(&before).cloned().collect();
    assert!(due.len() > ROWS / 2);
    for poller in &mut pollers {
        // What was stored last, and what the answer to that left.
        poller.poll().await;
        poller.poll().await;
    }
    let misses: Vec<usize> = pollers.iter().map(|poller| poller.misses(&due)).collect();
    assert_eq!(misses[..2], [0, 0], "with late rows");
    assert!(misses[2..].iter().all(|misses| *misses > 0), "{misses:?}");
    app.stop().await;
    as_the_original.stop().await;
}

async fn all_stored(app: &TestApp, legs: &BTreeSet<String>) {
    eventually("every row is stored", LIMIT, async || {
        (stored(app).await == *legs).then_some(())
    })
    .await;
}

/// Lets appear what has until `now`; the next one is the last in `to_come`.
fn appear(to_come: &mut Vec<Appearance>, now: Timestamp, pbx: &SimulatedPbx, legs: &mut BTreeSet<String>) {
    pbx.set_clock(now);
    while to_come.last().is_some_and(|next| next.at <= now) {
        let Some(appearance) = to_come.pop() else { return };
        pbx.insert(&appearance.what)
            .expect("the simulated database takes a row");
        if let Row::Cdr(leg) = appearance.what {
            legs.insert(leg.cdr_id.to_string());
        }
    }
}
