//! The main line on real peers: `POST make-call`, an Asterisk 22, and SIPp as the far end of its trunk.

use std::time::Duration;

use awc::http::StatusCode;
use mege_gateway::call::{CallState, Disposition};
use mege_gateway::telephony::HangupCause;
use tokio::time::Instant;

use crate::support::app::{LIMIT, TestApp};
use crate::support::asterisk::{Asterisk, CONTEXT, TRUNK, USER};
use crate::support::calls::{assert_refused, call, call_id, until};
use crate::support::eventually;
use crate::support::sipp::{Invite, Sipp};

/// The variables that lead a gateway to an Asterisk.
pub(crate) fn through(asterisk: &Asterisk) -> Vec<(&'static str, String)> {
    vec![
        ("ASTERISK_ARI_HOST", asterisk.host().to_owned()),
        ("ASTERISK_ARI_PORT", asterisk.port().to_string()),
        ("ASTERISK_ARI_CALL_USER", USER.to_owned()),
        ("ASTERISK_ARI_CALL_PASSWORD", asterisk.password().to_owned()),
        ("ASTERISK_PBX3CX_TRUNK_ID", TRUNK.to_owned()),
        ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", CONTEXT.to_owned()),
        ("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "20".to_owned()),
        ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "3000".to_owned()),
    ]
}

#[actix_rt::test]
async fn a_call_through_asterisk_is_seen_from_sent_to_ended() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;

    // The far end of the number hangs up by itself after a second.
    let id = call_id(&app.make_call(102, 79_990_000_009).await);
    let invites = sipp.wait_for_invites(2, LIMIT).await;
    let from = "79990000009".to_owned();
    let invite = |user: &str| Invite {
        user: user.to_owned(),
        from: from.clone(),
    };
    assert_eq!(invites, [invite("102"), invite("79990000009")]);

    let call = until(&app, id, CallState::Ended).await;
    let times = [
        Some(call.created_at),
        call.ringing_at,
        call.answered_at,
        call.bridged_at,
        call.ended_at,
    ];
    assert!(
        times.iter().all(Option::is_some) && times.is_sorted(),
        "{times:?}"
    );
    assert_eq!(call.cause, Some(HangupCause::NORMAL));
    assert_eq!(call.disposition(), Some(Disposition::Answered));
    assert_eq!(call.legs.len(), 2);
    for leg in &call.legs {
        assert!(leg.answered_at.is_some() && leg.ended_at.is_some(), "{leg:?}");
        assert_eq!(leg.cause, Some(HangupCause::NORMAL));
    }
    assert_eq!(call.legs[0].channel_id, id.to_string());
    assert_eq!(sipp.invites().len(), 2, "nothing was dialled twice");
    app.stop().await;
}

#[actix_rt::test]
async fn asterisk_took_it_but_the_extension_is_busy() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    let id = call_id(&app.make_call(107, 79_990_000_001).await);
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!(call.cause, Some(HangupCause::BUSY));
    assert_eq!(call.disposition(), Some(Disposition::Busy));
    assert_eq!(sipp.invites().len(), 1, "the number was not called");
}

#[actix_rt::test]
async fn asterisk_took_it_but_the_number_is_busy() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    let id = call_id(&app.make_call(102, 79_990_000_007).await);
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.cause, call.bridged_at), (Some(HangupCause::BUSY), None));
    assert_eq!(call.disposition(), Some(Disposition::Busy));
    assert_eq!(call.legs.len(), 2);
}

#[actix_rt::test]
async fn a_call_that_nobody_answered_says_whether_it_rang_out_or_was_given_up() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let mut variables = through(&asterisk);
    variables.push(("ASTERISK_PBX3CX_OUTGOING_TIMEOUT", "2".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let rings_out = call_id(&app.make_call(108, 79_990_000_001).await);
    // The extension answers, and leaves a second later while the number still rings.
    let given_up = call_id(&app.make_call(109, 79_990_000_008).await);
    let hung_up = call_id(&app.make_call(102, 79_990_000_008).await);
    eventually("the number rings", LIMIT, async || {
        let legs = call(&app, hung_up).await.legs;
        (legs.len() == 2 && legs[1].ringing_at.is_some()).then_some(())
    })
    .await;
    assert_eq!(app.hang_up(hung_up).await.status, StatusCode::NO_CONTENT);
    for (id, disposition, legs) in [
        (rings_out, Disposition::NoAnswer, 1),
        (given_up, Disposition::Cancelled, 2),
        (hung_up, Disposition::Cancelled, 2),
    ] {
        let call = until(&app, id, CallState::Ended).await;
        let told = (call.disposition(), call.legs.len());
        assert_eq!(told, (Some(disposition), legs), "{call:?}");
    }
}

#[actix_rt::test]
async fn an_asterisk_without_the_trunk_is_said_on_status_and_to_the_caller() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let mut variables = through(&asterisk);
    variables.push(("ASTERISK_PBX3CX_TRUNK_ID", "nowhere".to_owned()));
    let app = TestApp::start(&variables).await;
    eventually("the trunk is known as unknown", LIMIT, async || {
        let status = app.get("/status").await.json();
        (status["actors"]["asterisk.main"]["detail"]["trunk_known"] == false).then_some(())
    })
    .await;
    assert_refused(
        &app.make_call(102, 79_990_000_001).await,
        502,
        "unknown_trunk",
        "not_placed",
        true,
    );
    assert!(sipp.invites().is_empty());
}

#[actix_rt::test]
async fn an_asterisk_that_refuses_our_password_places_nothing() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let mut variables = through(&asterisk);
    variables.push(("ASTERISK_ARI_CALL_PASSWORD", "wrong".to_owned()));
    let app = TestApp::start(&variables).await;
    let reply = eventually("the refusal is known", LIMIT, async || {
        let reply = app.make_call(102, 79_990_000_001).await;
        (reply.status != StatusCode::SERVICE_UNAVAILABLE).then_some(reply)
    })
    .await;
    assert_refused(&reply, 502, "credentials_refused", "not_placed", true);
}

#[actix_rt::test]
async fn an_asterisk_that_stops_is_said_at_once_and_found_again_when_it_is_back() {
    let sipp = Sipp::start().await;
    let mut asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    asterisk.kill();
    let reply = eventually("the loss is known", LIMIT, async || {
        let begun = Instant::now();
        let reply = app.make_call(102, 79_990_000_001).await;
        // Within its own deadline of 3 s, and not that of HTTP, which is 30 s.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_ne!(reply.status, StatusCode::OK);
        (reply.json()["error"]["code"] == "not_connected").then_some(reply)
    })
    .await;
    assert_refused(&reply, 503, "not_connected", "not_placed", true);
    asterisk.restart().await;
    app.connected().await;
    let id = call_id(&app.make_call(102, 79_990_000_009).await);
    until(&app, id, CallState::Ended).await;
}

#[actix_rt::test]
async fn an_asterisk_killed_between_request_and_answer_leaves_the_outcome_unknown() {
    let sipp = Sipp::start().await;
    let mut asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    // Stopped, it takes the request into its socket and no further.
    asterisk.stop_process();
    let placing = app.make_call(102, 79_990_000_001);
    let killing = async {
        eventually("the request is in its socket", LIMIT, async || {
            asterisk.has_unread_request().then_some(())
        })
        .await;
        asterisk.kill();
    };
    let (reply, ()) = futures_util::join!(placing, killing);
    assert_refused(&reply, 502, "originate_outcome_unknown", "unknown", false);
    assert!(sipp.invites().is_empty(), "never dialled again");
}
