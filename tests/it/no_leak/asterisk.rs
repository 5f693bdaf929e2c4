//! The same of a real Asterisk, with SIPp as the far end.

use std::time::Duration;

use awc::http::Method;
use futures_util::future::join_all;
use mege_gateway::call::{CallId, CallState};

use crate::real_call::through;
use crate::support::app::{LIMIT, TestApp};
use crate::support::asterisk::Asterisk;
use crate::support::calls::{call, call_id, detail, until};
use crate::support::eventually;
use crate::support::sipp::Sipp;

/// The far end answers and stays.
const STAYS: u64 = 79_990_000_001;

/// How many calls end in each way.
const OF_EACH: usize = 50;

/// How many of one kind are asked for at once; three kinds are, and none is refused.
const AT_ONCE: usize = 8;

async fn place(app: &TestApp, extension: u64) -> Vec<CallId> {
    let placed = join_all((0..AT_ONCE).map(|client| async move {
        let mut ids = Vec::new();
        for _ in (client..OF_EACH).step_by(AT_ONCE) {
            ids.push(call_id(&app.make_call(extension, STAYS).await));
        }
        ids
    }));
    placed.await.concat()
}

async fn channels(asterisk: &Asterisk) -> usize {
    let reply = asterisk.ari(Method::GET, "/channels", &[]).await;
    let (_, channels) = reply.expect("a reply");
    channels.as_array().expect("a list").len()
}

#[actix_rt::test]
async fn two_hundred_calls_leave_nothing_behind() {
    let sipp = Sipp::start().await;
    let mut asterisk = Asterisk::start(sipp.port()).await;
    let mut variables = through(&asterisk);
    let in_flight = (3 * AT_ONCE).to_string();
    variables.extend([
        ("MEGE__ASTERISK__MAIN__RING_TIMEOUT_S", "3".to_owned()),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", in_flight),
    ]);
    let app = TestApp::start(&variables).await;
    app.connected().await;

    // Never answered, busy, hung up while they ring: all at once.
    let (unanswered, busy, cancelled) =
        futures_util::join!(place(&app, 108), place(&app, 107), place(&app, 118));
    let over = join_all(cancelled.iter().map(|id| app.hang_up(*id))).await;
    assert!(over.iter().all(|reply| reply.status == 204), "{over:?}");
    for id in unanswered.iter().chain(&busy).chain(&cancelled) {
        let call = until(&app, *id, CallState::Ended).await;
        assert!(call.closed && call.answered_at.is_none(), "{call:?}");
    }
    eventually("no channel is left", LIMIT, async || {
        (channels(&asterisk).await == 0).then_some(())
    })
    .await;

    // Talked on, when Asterisk dies with its sockets.
    let dropped = place(&app, 102).await;
    until(&app, dropped[0], CallState::Bridged).await;
    asterisk.restart().await;
    app.connected().await;
    for id in &dropped {
        until(&app, *id, CallState::Ended).await;
        assert!(call(&app, *id).await.closed);
    }
    eventually("nothing is left", LIMIT, async || {
        let (detail, load) = (detail(&app), app.integrations.asterisk["main"].load());
        let over = detail["live_calls"]["node"] == 0 && detail["open_calls"] == 0;
        let idle = load.iter().all(|load| load.in_flight == 0 && load.waiting == 0);
        (over && idle).then_some(())
    })
    .await;
    assert_eq!(channels(&asterisk).await, 0);
    // Each extension was called once, and the number only by those that were answered.
    let invites = eventually(
        "SIPp's count is the gateway's",
        Duration::from_secs(5),
        async || {
            let invites = sipp.invites();
            let of = |user: &str| invites.iter().filter(|invite| invite.user == user).count();
            ([of("108"), of("107"), of("102")] == [OF_EACH; 3]).then_some(invites.len())
        },
    )
    .await;
    // Of those that were hung up some never left.
    assert!(invites <= 5 * OF_EACH, "{invites}");
}
