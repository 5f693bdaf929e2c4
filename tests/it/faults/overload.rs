//! Three times the calls that there is room for: as many as there is room for succeed, the others are told at once. By rate and
//! time it is measured by `benches/overload.rs`.

use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use tokio::time::Instant;

use super::{NUMBER, ORIGINATE, gateway};
use crate::support::app::simulator;
use crate::support::calls::assert_refused;

/// How many originates are in flight at once, and how many more may wait for them.
const ROOM: usize = 8 + 8;

#[actix_rt::test]
async fn what_there_is_room_for_succeeds_and_the_rest_is_told_at_once_when_to_come_back() {
    let simulator = simulator().await;
    let more = [
        ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "8"),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000"),
    ];
    let app = gateway(&simulator, &more).await;
    let asterisk = simulator.asterisk();
    let slow = AriFault::Delay(Duration::from_secs(2));
    asterisk.fail(AriOperation::Originate, slow, HowOften::UntilCleared);

    let callers = (NUMBER..).take(3 * ROOM).map(async |number| {
        let asked = Instant::now();
        let reply = app.make_call(102, number).await;
        (asked.elapsed(), reply)
    });
    let told = join_all(callers).await;

    let (placed, refused): (Vec<_>, Vec<_>) = told.iter().partition(|(_, it)| it.status == StatusCode::OK);
    for (_, reply) in &refused {
        assert_refused(reply, 503, "saturated", "not_placed", true);
    }
    assert_eq!(
        asterisk.originates().len(),
        placed.len(),
        "neither lost nor twice"
    );
    // More only where some came so late that the first had been answered.
    assert!((ROOM..2 * ROOM).contains(&placed.len()), "{}", placed.len());
    let middle = |of: &[&(Duration, _)]| {
        let mut times: Vec<_> = of.iter().map(|(took, _)| *took).collect();
        times.sort();
        times[times.len() / 2]
    };
    // They wait for none that is placed.
    let (waited, told) = (middle(&placed), middle(&refused));
    assert!(told < waited / 2, "{told:?} and {waited:?}");

    let saturated = [&ORIGINATE[..], &[r#"reason="saturated""#]].concat();
    let shed = app.count("mege_shed_total", &saturated).await;
    assert_eq!(shed.to_string(), refused.len().to_string());
    assert_eq!(app.count("mege_circuit_opened_total", &ORIGINATE).await, 0.0);
}
