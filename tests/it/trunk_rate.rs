//! A trunk is given no more calls in a second than it may be.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use mege_gateway::actor::Class;
use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use tokio::time::Instant;

use crate::ari::patient;
use crate::support::app::{TestApp, simulated};
use crate::support::calls::{assert_refused, talking};

const NUMBER: u64 = 79_990_000_001;
const PER_S: u32 = 5;

#[actix_rt::test]
async fn a_burst_waits_shortly_and_what_would_come_too_late_is_refused_at_once() {
    let simulator = patient().await;
    let mut variables = simulated(&simulator);
    variables.push((
        "MEGE__ASTERISK__MAIN__TRUNK_LIMITS__CALLS_PER_S",
        PER_S.to_string(),
    ));
    let app = Rc::new(TestApp::start(&variables).await);
    app.connected().await;
    let first = talking(&app).await;

    let begun = Instant::now();
    let burst = join_all((0..30).map(|_| {
        let app = Rc::clone(&app);
        async move {
            let reply = app.make_call(102, NUMBER).await;
            (reply, begun.elapsed())
        }
    }));
    let handle = app.integrations.asterisk["main"].clone();
    let hang_up = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let load = handle.load_of(Class::Originate).expect("a class of it");
        let asked = begun.elapsed();
        let reply = app.hang_up(first).await;
        (load, reply.status.as_u16(), begun.elapsed() - asked)
    };
    let (replies, (load, hung_up, took)) = futures_util::join!(burst, hang_up);
    // Whoever waits for the rate holds nothing of the actor's.
    assert_eq!(load.waiting, 0);
    assert_eq!(hung_up, 204);
    assert!(took < Duration::from_millis(600), "{took:?}");

    let (placed, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|(reply, _)| reply.status == 200);
    // Those of a second of waiting; a slow machine may see one less.
    assert!((4..=6).contains(&placed.len()), "{} placed", placed.len());
    for (reply, after) in refused {
        assert_refused(reply, 503, "trunk_rate", "not_placed", true);
        assert!((1..=2).contains(&reply.retry_after.expect("a time")), "{reply:?}");
        assert!(*after < Duration::from_millis(900), "refused after {after:?}");
    }
    let mut times: Vec<_> = simulator.asterisk().originates().iter().map(|it| it.at).collect();
    times.sort_unstable();
    let most = PER_S as usize;
    for window in times.windows(most + 1) {
        let took = window[most].duration_since(window[0]);
        // They leave a fifth of a second apart; on their way one may be late.
        assert!(took.as_millis() > 800, "{} calls within {took}", most + 1);
    }
    let shed = app
        .metric(
            "mege_shed_total",
            &[r#"reason="trunk_rate""#, r#"class="originate""#],
        )
        .await;
    assert!(shed >= Some(24.0), "{shed:?}");
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
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "2000".to_owned()),
    ]);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    simulator
        .asterisk()
        .fail(AriOperation::Originate, AriFault::Hang, HowOften::UntilCleared);
    let begun = Instant::now();
    let replies =
        join_all((0..4).map(|_| async { (app.make_call(102, NUMBER).await, begun.elapsed()) })).await;
    let (refused, hung): (Vec<_>, Vec<_>) = replies.iter().partition(|(reply, _)| reply.status == 503);
    assert_eq!((refused.len(), hung.len()), (3, 1));
    for (reply, after) in refused {
        assert_refused(reply, 503, "saturated", "not_placed", true);
        // The last turn is after three fifths of a second. In a queue they would wait a second more, and then leave together.
        assert!(*after < Duration::from_millis(1_400), "{after:?}");
    }
}
