//! Three times the calls that there is room for: as many as there is room for succeed, the others are told at once.

use std::rc::Rc;
use std::time::Duration;

use awc::http::StatusCode;
use futures_util::future::join_all;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use tokio::time::{Instant, sleep_until};

use super::{NUMBER, ORIGINATE, gateway};
use crate::support::app::simulator;
use crate::support::calls::assert_refused;

/// How long Asterisk takes for an originate: with 8 at once, 80 a second.
const TAKES: Duration = Duration::from_millis(100);
const CAPACITY: u32 = 80;

const LASTS: Duration = Duration::from_secs(4);

#[actix_rt::test]
async fn what_there_is_room_for_succeeds_and_the_rest_is_told_at_once_when_to_come_back() {
    let simulator = simulator().await;
    let app = Rc::new(gateway(&simulator, &[]).await);
    let asterisk = simulator.asterisk();
    asterisk.fail(
        AriOperation::Originate,
        AriFault::Delay(TAKES),
        HowOften::UntilCleared,
    );

    // At their own rate, whatever becomes of those before.
    let offered = 3 * CAPACITY * u32::try_from(LASTS.as_secs()).expect("a few seconds");
    let begun = Instant::now();
    let callers = (0..offered).map(|caller| {
        let app = Rc::clone(&app);
        async move {
            sleep_until(begun + LASTS * caller / offered).await;
            let asked = Instant::now();
            let reply = app.make_call(102, NUMBER + u64::from(caller)).await;
            (asked.elapsed(), reply)
        }
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
    let room = CAPACITY as usize * usize::try_from(LASTS.as_secs()).expect("a few seconds");
    assert!(placed.len() >= room * 8 / 10, "{} of {room}", placed.len());
    let middle = |of: &[&(Duration, _)]| {
        let mut times: Vec<_> = of.iter().map(|(took, _)| *took).collect();
        times.sort();
        times[times.len() / 2]
    };
    // Behind those that may wait, as many as are in flight, there is one turn to wait for.
    let (waited, told) = (middle(&placed), middle(&refused));
    assert!(waited < 4 * TAKES && told < TAKES / 4, "{waited:?} and {told:?}");

    let saturated = [&ORIGINATE[..], &[r#"reason="saturated""#]].concat();
    #[expect(clippy::cast_precision_loss, reason = "some hundred callers")]
    let shed = refused.len() as f64;
    assert_eq!(app.count("mege_shed_total", &saturated).await, shed);
    assert_eq!(app.count("mege_circuit_opened_total", &ORIGINATE).await, 0.0);
}
