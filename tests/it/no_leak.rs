//! However calls end, nothing of them is left: no slot, no permit, no channel, no memory.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{Pace, Simulator, SimulatorSettings};
use serde_json::{Value, json};

use crate::support::app::{LIMIT, client_at, simulated};
use crate::support::eventually;
use crate::support::program::Program;

/// How many calls end in each way, after the warm-up.
const OF_EACH: usize = 5_000;

/// In so many rounds.
const ROUNDS: usize = 4;

/// As many as originates may be in flight: none is refused.
const CLIENTS: usize = 16;

/// How long a call that is answered lasts: as long as it takes to place many.
const TALK: Duration = Duration::from_secs(4);

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NeverAnswered,
    Busy,
    /// Hung up while it rings.
    Cancelled,
    /// With no event socket to tell of it.
    Dropped,
}

impl End {
    /// An extension that does it.
    fn extension(self) -> u64 {
        match self {
            Self::NeverAnswered | Self::Cancelled => 108,
            Self::Busy => 107,
            Self::Dropped => 102,
        }
    }
}

/// A gateway as its users run it, and clients of it.
struct Gateway {
    program: Program,
    origin: String,
    client: Client,
}

impl Gateway {
    async fn start(simulator: &Simulator) -> Rc<Self> {
        let mut variables = simulated(simulator);
        // Calls only: what a collector keeps of them is no leak.
        variables.retain(|(name, _)| !name.contains("PAC"));
        variables.extend([
            ("MEGE__ASTERISK__MAIN__MAX_LIVE_CALLS", "100000".to_owned()),
            ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", CLIENTS.to_string()),
            ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "1000000".to_owned()),
            ("MEGE__LOG__FILTER", "warn,mege_gateway::command=info".to_owned()),
        ]);
        let mut program = Program::serve(&variables);
        let origin = program.origin().await;
        let gateway = Rc::new(Self {
            program,
            origin,
            client: client_at(std::net::Ipv4Addr::LOCALHOST),
        });
        gateway.connected().await;
        gateway
    }

    async fn actor(&self) -> Value {
        let mut reply = self
            .client
            .get(format!("{}/status", self.origin))
            .send()
            .await
            .expect("a reply");
        let mut body: Value = reply.json().await.expect("a document");
        body["actors"]["asterisk.main"].take()
    }

    async fn connected(&self) {
        eventually("connected", LIMIT, async || {
            let actor = self.actor().await;
            (actor["usable"] == true).then_some(())
        })
        .await;
    }

    /// Places a call, and says its id.
    async fn place(&self, end: End) -> String {
        let url = format!("{}/pbx-api/make-call", self.origin);
        let body = json!({ "source_caller_id": 79_990_000_001_u64, "caller_id": end.extension() });
        let mut reply = self.client.post(url).send_json(&body).await.expect("a reply");
        let body: Value = reply.json().await.expect("a document");
        assert_eq!(reply.status(), StatusCode::OK, "{body}");
        body["uniqueid"].as_str().expect("an id").to_owned()
    }

    async fn hang_up(&self, id: &str) -> StatusCode {
        let url = format!("{}/v1/calls/{id}", self.origin);
        let mut reply = self.client.delete(url).send().await.expect("a reply");
        // Read, so that the connection is used again.
        reply.body().await.expect("a body");
        reply.status()
    }

    /// Resident memory in kB.
    fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.program.pid());
        let status = std::fs::read_to_string(path).expect("the process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
        size.and_then(|size| size.trim().parse().ok()).expect("a size")
    }
}

/// Places so many calls of each of these, all mixed; says how many were hung up.
async fn place(gateway: &Rc<Gateway>, ends: &[End], of_each: usize) -> usize {
    let todo: Vec<End> = ends.iter().copied().cycle().take(ends.len() * of_each).collect();
    let (todo, cancelled) = (Rc::new(RefCell::new(todo)), Rc::new(Cell::new(0)));
    join_all((0..CLIENTS).map(|_| {
        let (gateway, todo, cancelled) = (Rc::clone(gateway), Rc::clone(&todo), Rc::clone(&cancelled));
        async move {
            loop {
                let next = todo.borrow_mut().pop();
                let Some(end) = next else { return };
                let id = gateway.place(end).await;
                if end == End::Cancelled {
                    let status = gateway.hang_up(&id).await;
                    // On a slow machine it may have given up ringing before.
                    let known = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
                    assert!(known.contains(&status), "{status}");
                    let done = usize::from(status == StatusCode::NO_CONTENT);
                    cancelled.set(cancelled.get() + done);
                }
            }
        }
    }))
    .await;
    cancelled.get()
}

/// One round of calls that end in every way; says how many were hung up, and how many dropped.
async fn round(gateway: &Rc<Gateway>, simulator: &Simulator, of_each: usize) -> (usize, usize) {
    let cancelled = place(gateway, &[End::NeverAnswered, End::Busy, End::Cancelled], of_each).await;
    let asterisk = simulator.asterisk();
    let mut dropped = 0;
    while dropped < of_each {
        place(gateway, &[End::Dropped], of_each - dropped).await;
        // Nothing is asked for at the moment; what is talked on ends without a witness.
        dropped += asterisk.live_channels() / 2;
        asterisk.stop_listening().await;
        eventually("every call is over", LIMIT, async || {
            (asterisk.live_channels() == 0).then_some(())
        })
        .await;
        asterisk.listen_again().expect("the same port");
        gateway.connected().await;
    }
    (cancelled, dropped)
}

/// Nothing is in flight, no call lives, no channel is there.
async fn nothing_is_left(gateway: &Gateway, simulator: &Simulator) {
    eventually("nothing is left", LIMIT, async || {
        let actor = gateway.actor().await;
        let operations = actor["operations"].as_array().expect("operations");
        let idle = operations
            .iter()
            .all(|load| load["in_flight"] == 0 && load["waiting"] == 0);
        let detail = &actor["detail"];
        let over = detail["live_calls"]["node"] == 0 && detail["open_calls"] == 0;
        (idle && over && simulator.asterisk().live_channels() == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn twenty_thousand_calls_leave_nothing_behind() {
    let settings = SimulatorSettings {
        pace: Pace {
            ring: Duration::from_millis(5),
            talk: TALK,
            give_up: Duration::from_millis(500),
        },
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let gateway = Gateway::start(&simulator).await;
    round(&gateway, &simulator, OF_EACH / ROUNDS).await;
    nothing_is_left(&gateway, &simulator).await;
    let warm = gateway.memory();

    let (mut cancelled, mut dropped) = (0, 0);
    for _ in 0..ROUNDS {
        let of_round = round(&gateway, &simulator, OF_EACH / ROUNDS).await;
        cancelled += of_round.0;
        dropped += of_round.1;
    }
    assert!(cancelled > OF_EACH * 9 / 10, "{cancelled} were hung up");
    assert!(dropped >= OF_EACH, "{dropped} were dropped");
    nothing_is_left(&gateway, &simulator).await;
    let grown = gateway.memory();
    println!("{cancelled} cancelled, {dropped} dropped, {warm} kB then {grown} kB");
    assert!(grown * 10 <= warm * 11, "{warm} kB, then {grown} kB");
}
