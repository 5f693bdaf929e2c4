//! Asterisk's actor on a real Asterisk 22 that goes away, hangs, and is shared.

use awc::http::Method;
use mege_gateway::call::CallState;
use mege_gateway::telephony::HangupCause;

use crate::real_call::through;
use crate::support::app::{LIMIT, TestApp};
use crate::support::asterisk::Asterisk;
use crate::support::calls::{assert_refused, call, call_id, detail, talking, until};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::sipp::Sipp;

/// Its far end answers and stays until the other side hangs up.
const STAYS: u64 = 79_990_000_001;

#[actix_rt::test]
async fn a_call_that_died_with_asterisk_is_closed_without_a_cause() {
    let sipp = Sipp::start().await;
    let mut asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    let id = talking(&app).await;
    asterisk.restart().await;
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.cause, call.closed, call.legs.len()), (None, true, 2));
    assert!(call.legs.iter().all(|leg| leg.ended_at.is_some()));
    app.connected().await;
    let id = call_id(&app.make_call(102, 79_990_000_009).await);
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!(call.cause, Some(HangupCause::NORMAL));
    assert_eq!(sipp.invites().len(), 4, "nothing was dialled twice");
}

#[actix_rt::test]
async fn an_asterisk_that_hangs_is_found_and_used_again_when_it_goes_on() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let app = TestApp::start(&through(&asterisk)).await;
    app.connected().await;
    let id = talking(&app).await;
    asterisk.stop_process();
    eventually("the hanging is known", LIMIT, async || {
        (detail(&app)["connection"] != "connected").then_some(())
    })
    .await;
    let reply = app.make_call(102, STAYS).await;
    assert_refused(&reply, 503, "not_connected", "not_placed", true);
    assert_eq!(
        call(&app, id).await.state,
        CallState::Bridged,
        "as far as is known"
    );
    asterisk.continue_process();
    app.connected().await;
    hang_up(&asterisk, &id.to_string()).await;
    let call = until(&app, id, CallState::Ended).await;
    assert_eq!((call.cause, call.legs.len()), (Some(HangupCause::NORMAL), 2));
}

#[actix_rt::test]
async fn two_gateways_on_one_asterisk_do_not_disturb_each_other() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let (one, other) = (
        TestApp::start(&through(&asterisk)).await,
        TestApp::start(&through(&asterisk)).await,
    );
    one.connected().await;
    other.connected().await;
    assert_ne!(detail(&one)["app"], detail(&other)["app"]);
    let first = call_id(&one.make_call(102, STAYS).await);
    let second = call_id(&other.make_call(103, STAYS).await);
    until(&one, first, CallState::Bridged).await;
    until(&other, second, CallState::Bridged).await;
    hang_up(&asterisk, &first.to_string()).await;
    until(&one, first, CallState::Ended).await;
    assert_eq!(call(&other, second).await.state, CallState::Bridged);
    hang_up(&asterisk, &second.to_string()).await;
    let call = until(&other, second, CallState::Ended).await;
    assert_eq!((call.cause, call.legs.len()), (Some(HangupCause::NORMAL), 2));
    for app in [&one, &other] {
        let detail = detail(app);
        assert_eq!(detail["connects"], 1, "{detail}");
        assert_eq!(detail["connection"], "connected", "{detail}");
    }
}

#[actix_rt::test]
async fn a_check_of_an_asterisk_leaves_no_trace_there() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let variables = through(&asterisk);
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let before = applications(&asterisk).await;
    let ended = Program::start(&["check"], &variables).ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let line = ended.line("asterisk.main: ");
    assert!(line.starts_with("asterisk.main: ok (Asterisk "), "{line}");
    assert_eq!(applications(&asterisk).await, before);
    assert_eq!(detail(&app)["connects"], 1);
    assert_eq!(detail(&app)["connection"], "connected");

    for (name, value, reason) in [
        (
            "ASTERISK_ARI_CALL_PASSWORD",
            "hidden",
            "refused the user or password",
        ),
        (
            "ASTERISK_PBX3CX_TRUNK_ID",
            "nowhere",
            "does not know the trunk nowhere",
        ),
    ] {
        let mut variables = variables.clone();
        variables.push((name, value.to_owned()));
        let ended = Program::start(&["check"], &variables).ended().await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(
            ended.line("asterisk.main: failed: ").contains(reason),
            "{}",
            ended.said
        );
        assert!(!ended.said.contains("hidden"), "{}", ended.said);
    }
    assert!(sipp.invites().is_empty());
}

/// The names of Asterisk's applications.
async fn applications(asterisk: &Asterisk) -> Vec<String> {
    let (_, found) = asterisk
        .ari(Method::GET, "/applications", &[])
        .await
        .expect("a reply");
    let found = found.as_array().expect("a list").iter();
    found.map(|app| app["name"].to_string()).collect()
}

/// Hangs up behind the gateway's back.
async fn hang_up(asterisk: &Asterisk, channel: &str) {
    let path = format!("/channels/{channel}");
    let reply = asterisk.ari(Method::DELETE, &path, &[]).await;
    assert_eq!(reply.expect("a reply").0.as_u16(), 204);
}

#[actix_rt::test]
async fn asterisk_answers_the_close_frame_of_a_gateway_that_stops() {
    let sipp = Sipp::start().await;
    let asterisk = Asterisk::start(sipp.port()).await;
    let mut variables = through(&asterisk);
    variables.push(("MEGE__LOG__FILTER", "info,mege_gateway=debug".to_owned()));
    let mut program = Program::serve(&variables);
    let origin = program.origin().await;
    let client = awc::Client::new();
    eventually("connected to Asterisk", LIMIT, async || {
        let status = client.get(format!("{origin}/status")).send().await;
        let status: serde_json::Value = status.ok()?.json().await.ok()?;
        (status["actors"]["asterisk.main"]["usable"] == true).then_some(())
    })
    .await;
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended.said.contains("the event socket is closed"),
        "{}",
        ended.said
    );
}
