//! A PAC that answers every statement with 100 MB.

use awc::http::StatusCode;
use mege_gateway::simulator::{HowOften, PacFault, PacOperation};

use super::NUMBER;
use crate::support::app::{LIMIT, simulated, simulator};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::served::Served;

const MB: u64 = 1024 * 1024;

/// How many of those are refused.
const REPLIES: f64 = 10.0;

#[actix_rt::test]
async fn a_reply_of_100_mb_is_refused_by_its_head_and_takes_no_memory() {
    let simulator = simulator().await;
    let served = Served::start(Program::serve(&simulated(&simulator))).await;
    let count = async |outcome: &str| {
        let outcome = format!(r#"outcome="{outcome}""#);
        let labels = [r#"pac="main""#, outcome.as_str()];
        served.count("mege_pac_requests_total", &labels).await
    };
    eventually("PAC is read", LIMIT, async || {
        (count("ok").await > 5.0).then_some(())
    })
    .await;
    let before = served.memory();

    let huge = PacFault::Oversized(usize::try_from(100 * MB).expect("a size"));
    simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, huge, HowOften::UntilCleared);
    let mut most = before;
    eventually("replies are refused", LIMIT, async || {
        most = most.max(served.memory());
        (count("too_large").await >= REPLIES).then_some(())
    })
    .await;
    let grown = most.saturating_sub(before);
    assert!(grown <= 16 * MB, "{} kB more", grown / 1024);
    // Each is refused once its first bytes say how long it will be.
    let sent = simulator.pbx().oversized_bytes();
    assert!(sent < 100 * MB, "{sent} bytes were sent");
    assert_eq!(served.make_call(102, NUMBER).await.status, StatusCode::OK);

    simulator.pbx().clear_faults();
    let read = count("ok").await;
    eventually("PAC is read again", LIMIT, async || {
        (count("ok").await > read).then_some(())
    })
    .await;
}
