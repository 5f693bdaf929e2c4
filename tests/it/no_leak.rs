//! However calls end, nothing of them is left: no slot, no permit, no channel, no memory.

#[cfg(feature = "peers")]
mod asterisk;

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Pace, Simulator, SimulatorSettings};
use serde_json::{Value, json};

use crate::ari::{LONG, no_channels};
use crate::support::app::{LIMIT, client_at, simulated};
use crate::support::eventually;
use crate::support::program::Program;

/// How many calls end in each of four ways in a round. The first round is the warm-up.
const OF_EACH: usize = 1_000;
const ROUNDS: usize = 5;

/// As many as originates may be in flight: none is refused.
const CLIENTS: usize = 16;

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
    async fn start(simulator: &Simulator) -> Self {
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
        let gateway = Self {
            program,
            origin,
            client: client_at(Ipv4Addr::LOCALHOST),
        };
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

/// Does everything that is to be done, so much of it at once.
async fn all<T: 'static, F: Future<Output = ()>>(todo: Vec<T>, work: impl Fn(T) -> F) {
    let todo = RefCell::new(todo);
    join_all((0..CLIENTS).map(|_| async {
        loop {
            let next = todo.borrow_mut().pop();
            let Some(next) = next else { return };
            work(next).await;
        }
    }))
    .await;
}

/// One round of calls that end in every way. Says how many of those to be cancelled were.
async fn round(gateway: &Gateway, simulator: &Simulator) -> usize {
    let cancelled = Cell::new(0);
    let ends = [End::NeverAnswered, End::Busy, End::Cancelled];
    all(ends.repeat(OF_EACH), async |end| {
        let id = gateway.place(end).await;
        if end == End::Cancelled {
            let status = gateway.hang_up(&id).await;
            // On a slow machine it may have given up ringing before.
            let known = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
            assert!(known.contains(&status), "{status}");
            cancelled.set(cancelled.get() + usize::from(status == StatusCode::NO_CONTENT));
        }
    })
    .await;

    let ids = RefCell::new(Vec::new());
    all(vec![End::Dropped; OF_EACH], async |end| {
        let id = gateway.place(end).await;
        ids.borrow_mut().push(id);
    })
    .await;
    let asterisk = simulator.asterisk();
    asterisk.fail(
        AriOperation::Connect,
        AriFault::ServerError,
        HowOften::UntilCleared,
    );
    asterisk.cut_event_sockets();
    eventually("the loss is known", LIMIT, async || {
        (gateway.actor().await["usable"] == false).then_some(())
    })
    .await;
    // Their ends are told to nobody.
    all(ids.take(), async |id| {
        let settings = SimulatorSettings::default();
        let url = format!("http://{}/ari/channels/{id}", simulator.ari_address());
        let request = gateway.client.delete(url);
        let request = request.basic_auth(settings.user, settings.password);
        let mut reply = request.send().await.expect("a reply");
        reply.body().await.expect("a body");
        assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    })
    .await;
    no_channels(simulator).await;
    asterisk.clear_faults();
    gateway.connected().await;
    cancelled.get()
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
            talk: LONG,
            give_up: Duration::from_millis(500),
        },
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let gateway = Gateway::start(&simulator).await;
    let mut cancelled = round(&gateway, &simulator).await;
    nothing_is_left(&gateway, &simulator).await;
    let warm = gateway.memory();
    for _ in 1..ROUNDS {
        cancelled += round(&gateway, &simulator).await;
    }
    nothing_is_left(&gateway, &simulator).await;
    let grown = gateway.memory();
    assert!(cancelled > OF_EACH * ROUNDS * 9 / 10, "{cancelled} were hung up");
    println!("{cancelled} were hung up; {warm} kB, then {grown} kB");
    assert!(grown * 10 <= warm * 11, "{warm} kB, then {grown} kB");
}
