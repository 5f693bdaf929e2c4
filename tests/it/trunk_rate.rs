//! A trunk is given no more calls in a second than it may be. The rule itself, to the millisecond, is shown beside
//! `src/ari/pace.rs`.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mege_gateway::actor::Class;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use tokio::time::Instant;

use crate::ari::patient;
use crate::support::app::{LIMIT, TestApp, simulated};
use crate::support::calls::{assert_refused, talking};
use crate::support::eventually;

const NUMBER: u64 = 79_990_000_001;
const PER_S: u32 = 5;

#[actix_rt::test]
async fn a_burst_waits_shortly_and_what_would_come_too_late_is_refused_at_once() {
    const CALLERS: usize = 40;
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.extend([
        (
            "MEGE__ASTERISK__MAIN__TRUNK_LIMITS__CALLS_PER_S",
            PER_S.to_string(),
        ),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "3000".to_owned()),
    ]);
    let app = Rc::new(TestApp::start(&variables).await);
    app.connected().await;
    let first = talking(&app).await;
    let asterisk = simulator.asterisk();

    let begun = Instant::now();
    let refusals = Cell::new(0);
    let burst = join_all((0..CALLERS).map(async |_| {
        let reply = app.make_call(102, NUMBER).await;
        refusals.set(refusals.get() + usize::from(reply.status == 503));
        reply
    }));
    let handle = app.integrations.asterisk["main"].clone();
    let hang_up = async {
        // There are as many as may wait for their turn, then.
        eventually("some are refused", LIMIT, async || {
            (refusals.get() > 0).then_some(())
        })
        .await;
        let load = handle.load_of(Class::Originate).expect("a class of it");
        let reply = app.hang_up(first).await;
        (load, reply.status.as_u16(), asterisk.originates().len())
    };
    let (replies, (load, hung_up, before_it)) = futures_util::join!(burst, hang_up);
    let took = begun.elapsed();
    // Whoever waits for the rate holds nothing of the actor's.
    assert_eq!(load.waiting, 0);
    assert_eq!(hung_up, 204);
    assert!(before_it < asterisk.originates().len(), "others wait still");

    let (placed, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    // One at once and those of three seconds; and as many as came so late that there was room for them again.
    let most = 1.0 + took.as_secs_f64() * f64::from(PER_S);
    #[expect(clippy::cast_precision_loss, reason = "a few calls")]
    let count = placed.len() as f64;
    assert!((15.0..=most).contains(&count), "{count} placed in {took:?}");
    for reply in &refused {
        assert_refused(reply, 503, "trunk_rate", "not_placed", true);
        assert!((1..=4).contains(&reply.retry_after.expect("a time")), "{reply:?}");
    }
    assert_eq!(asterisk.originates().len(), 1 + placed.len());
    let reason = [r#"reason="trunk_rate""#, r#"class="originate""#];
    let shed = app.count("mege_shed_total", &reason).await;
    assert_eq!(shed.to_string(), refused.len().to_string());
}

#[actix_rt::test]
async fn who_has_had_its_turn_waits_for_no_stalled_asterisk() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.push((
        "MEGE__ASTERISK__MAIN__TRUNK_LIMITS__CALLS_PER_S",
        PER_S.to_string(),
    ));
    variables.extend([
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "1".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000".to_owned()),
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000".to_owned()),
    ]);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
    // One hangs for longer than the test has. In a queue the others would wait for that.
    let calls: FuturesUnordered<_> = (0..4).map(|_| app.make_call(102, NUMBER)).collect();
    let refused: Vec<_> = calls.take(3).collect().await;
    for reply in &refused {
        assert_refused(reply, 503, "saturated", "not_placed", true);
    }
    let load = app.integrations.asterisk["main"].load_of(Class::Originate);
    assert_eq!(load.expect("a class of it").in_flight, 1);
}
