//! A PAC that takes longer than anybody waits.

use std::time::Duration;

use mege_gateway::actor::{AskError, Class};
use mege_gateway::pac::{ExecuteSql, Statement};
use mege_gateway::simulator::{HowOften, PacFault, PacOperation};
use tokio::time::Instant;

use super::{gateway, others_are_served};
use crate::support::app::{LIMIT, simulator};
use crate::support::eventually;

const PATIENCE: Duration = Duration::from_secs(1);

#[actix_rt::test]
async fn a_read_that_takes_too_long_ends_at_its_deadline_and_is_cancelled_at_pac() {
    let simulator = simulator().await;
    // After its first poll the collector asks nothing: what is cancelled and counted here is not its.
    let more = [
        ("MEGE__PAC__MAIN__REQUEST_TIMEOUT_MS", "60000"),
        ("MEGE__PAC__MAIN__COLLECTOR__INTERVAL_MS", "3600000"),
        ("MEGE__PAC__MAIN__COLLECTOR__SWEEP_INTERVAL_MS", "86400000"),
        ("MEGE__PAC__MAIN__COLLECTOR__BACKFILL_DAYS", "0"),
    ];
    let app = gateway(&simulator, &more).await;
    let pac = &app.integrations.pac["main"];
    eventually("the first poll is over", LIMIT, async || {
        let collector = app.status_of("collector.main").await;
        (collector["detail"]["last_success"].is_string() && pac.in_flight(Class::Read) == 0).then_some(())
    })
    .await;
    let slow = PacFault::Delay(Duration::from_secs(3_600));
    simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, slow, HowOften::UntilCleared);
    let statement = Statement::new("one", "SELECT 1", &[]);
    let asked = Instant::now();
    let reply = pac.ask(ExecuteSql { statement }, asked + PATIENCE).await;
    let took = asked.elapsed();
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: true }));
    assert!(
        (PATIENCE * 9 / 10..Duration::from_secs(30)).contains(&took),
        "{took:?}"
    );
    eventually("PAC hears that nobody waits", LIMIT, async || {
        let requests = simulator.pbx().requests(PacOperation::ExecuteSql);
        (requests.cancelled == 1).then_some(())
    })
    .await;
    let deadline = [r#"pac="main""#, r#"outcome="deadline""#];
    eventually("it is counted", LIMIT, async || {
        (app.count("mege_pac_requests_total", &deadline).await == 1.0).then_some(())
    })
    .await;
    let exceeded = [
        r#"actor="pac.main""#,
        r#"operation="execute_sql""#,
        r#"begun="true""#,
    ];
    assert_eq!(app.count("mege_deadlines_exceeded_total", &exceeded).await, 1.0);
    others_are_served(&app).await;

    simulator.pbx().clear_faults();
    eventually("all permits are back", LIMIT, async || {
        (pac.in_flight(Class::Read) == 0).then_some(())
    })
    .await;
}
