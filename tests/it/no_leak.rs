//! However calls end, nothing of them is left: no slot, no permit, no channel, no memory.

#[cfg(feature = "peers")]
mod asterisk;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{Pace, Simulator};
use serde_json::Value;

use crate::ari::{LONG, hang_up, no_channels, no_event_sockets};
use crate::support::app::{LIMIT, paced, simulated};
use crate::support::calls::call_id;
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::served::Served;

const NUMBER: u64 = 79_990_000_001;

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

/// A gateway as its users run it.
async fn gateway(simulator: &Simulator) -> Served {
    let mut variables = simulated(simulator);
    // Calls only: what a collector keeps of them is no leak.
    variables.retain(|(name, _)| !name.contains("PAC"));
    variables.extend([
        ("MEGE__ASTERISK__MAIN__MAX_LIVE_CALLS", "100000".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", CLIENTS.to_string()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000".to_owned()),
        ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", "1000000".to_owned()),
        ("MEGE__LOG__FILTER", "warn,mege_gateway::command=info".to_owned()),
    ]);
    Served::start(Program::serve(&variables)).await
}

async fn actor(gateway: &Served) -> Value {
    gateway.get("/status").await.json()["actors"]["asterisk.main"].take()
}

/// Waits until its Asterisk can be used, or cannot.
async fn usable(gateway: &Served, is: bool) {
    eventually(&format!("usable: {is}"), LIMIT, async || {
        (actor(gateway).await["usable"] == is).then_some(())
    })
    .await;
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
async fn round(gateway: &Served, simulator: &Simulator) -> usize {
    let cancelled = Cell::new(0);
    let ends = [End::NeverAnswered, End::Busy, End::Cancelled];
    all(ends.repeat(OF_EACH), async |end| {
        let id = call_id(&gateway.make_call(end.extension(), NUMBER).await);
        if end == End::Cancelled {
            let status = gateway.hang_up(id).await.status;
            // On a slow machine it may have given up ringing before.
            let known = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
            assert!(known.contains(&status), "{status}");
            cancelled.set(cancelled.get() + usize::from(status == StatusCode::NO_CONTENT));
        }
    })
    .await;

    let ids = RefCell::new(Vec::new());
    all(vec![End::Dropped; OF_EACH], async |end| {
        let id = call_id(&gateway.make_call(end.extension(), NUMBER).await);
        ids.borrow_mut().push(id);
    })
    .await;
    no_event_sockets(simulator);
    usable(gateway, false).await;
    // Their ends are told to nobody.
    all(ids.take(), async |id| hang_up(simulator, id).await).await;
    no_channels(simulator).await;
    simulator.asterisk().clear_faults();
    usable(gateway, true).await;
    cancelled.get()
}

/// Nothing is in flight, no call lives, no channel is there.
async fn nothing_is_left(gateway: &Served, simulator: &Simulator) {
    eventually("nothing is left", LIMIT, async || {
        let actor = actor(gateway).await;
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
    let simulator = paced(Pace {
        ring: Duration::from_millis(5),
        talk: LONG,
        give_up: Duration::from_secs(2),
    })
    .await;
    let gateway = gateway(&simulator).await;
    let mut cancelled = round(&gateway, &simulator).await;
    nothing_is_left(&gateway, &simulator).await;
    let warm = gateway.memory();
    for _ in 1..ROUNDS {
        cancelled += round(&gateway, &simulator).await;
    }
    nothing_is_left(&gateway, &simulator).await;
    let grown = gateway.memory();
    assert!(cancelled > OF_EACH * ROUNDS * 9 / 10, "{cancelled} were hung up");
    println!("{cancelled} were hung up; {warm} B, then {grown} B");
    assert!(grown * 10 <= warm * 11, "{warm} B, then {grown} B");
}
