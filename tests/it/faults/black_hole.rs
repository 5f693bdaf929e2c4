//! An Asterisk that takes everything and answers nothing.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{NUMBER, ORIGINATE, behind_proxy, code, originates, others_are_served, placed_again};
use crate::support::app::LIMIT;
use crate::support::calls::assert_refused;
use crate::support::eventually;
use crate::support::fault_proxy::{EVENTS, Fault};

/// How long a request to Asterisk may take: by default 5 s, and as long as HTTP gives it 30 s.
const DEADLINE: Duration = Duration::from_secs(2);

/// How many it may have at once.
const IN_FLIGHT: usize = 8;

const CALLERS: u64 = 30;

#[actix_rt::test]
async fn callers_are_told_at_the_deadline_that_the_outcome_is_unknown_and_few_are_held() {
    let deadline = DEADLINE.as_millis().to_string();
    let more = [
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", deadline.as_str()),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "100"),
    ];
    let (simulator, proxy, app) = behind_proxy(&more).await;
    let app = Rc::new(app);
    proxy.set_sparing(EVENTS, Fault::BlackHole);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let app = Rc::clone(&app);
            actix_rt::spawn(async move {
                let begun = Instant::now();
                let reply = app.make_call(102, NUMBER + caller).await;
                (begun.elapsed(), reply)
            })
        })
        .collect();
    let limit = app.count("mege_in_flight_limit", &ORIGINATE).await;
    eventually("all permits are out", LIMIT, async || {
        (app.count("mege_in_flight", &ORIGINATE).await == limit).then_some(())
    })
    .await;
    others_are_served(&app).await;

    let mut held = Vec::new();
    for told in join_all(callers).await {
        let (took, reply) = told.expect("a caller without a panic");
        if reply.status == 502 {
            assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
            held.push(took);
        } else {
            let code = code(&reply);
            assert!(code == "saturated" || code == "circuit_open", "{code}");
            assert_refused(&reply, 503, &code, "not_placed", true);
        }
    }
    assert_eq!(held.len(), IN_FLIGHT);
    held.sort();
    let middle = held[IN_FLIGHT / 2];
    assert!((DEADLINE * 9 / 10..DEADLINE * 2).contains(&middle), "{middle:?}");
    assert_eq!(originates(&app, "unknown").await, 8.0);
    let late = [
        r#"actor="asterisk.main""#,
        r#"operation="originate""#,
        r#"begun="true""#,
    ];
    assert_eq!(app.count("mege_deadlines_exceeded_total", &late).await, 8.0);
    assert_eq!(app.count("mege_circuit_opened_total", &ORIGINATE).await, 1.0);
    #[expect(clippy::cast_precision_loss, reason = "a few callers")]
    let refused = (CALLERS as usize - IN_FLIGHT) as f64;
    assert_eq!(app.count("mege_shed_total", &ORIGINATE).await, refused);
    assert_eq!(app.count("mege_in_flight", &ORIGINATE).await, 0.0);

    proxy.clear();
    assert!(simulator.asterisk().originates().is_empty());
    placed_again(&app).await;
}
