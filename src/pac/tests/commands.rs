//! `MakeCall`: taken, refused, surely not sent, or unknown; and never twice.

use std::sync::atomic::Ordering;

use tonic::Code;

use super::*;

fn unknown(reply: &Reply<MakeCall>) -> bool {
    matches!(reply, Err(AskError::Reply(PacError::OutcomeUnknown(_))))
}

#[actix_rt::test]
async fn a_call_is_taken_or_refused_by_pac() {
    let server = Server::start(Say::Taken(true, "Call successfully initialized"));
    let pac = start(&server.address());
    assert_eq!(call(&pac, 5 * SECOND).await, Ok(()));
    server.say(Say::Taken(false, "Call initialization issues"));
    let expected = PacError::Rejected("Call initialization issues".to_owned());
    assert_eq!(call(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
    assert_eq!(server.requests(), 2);
}

#[actix_rt::test]
async fn without_a_connection_nothing_was_sent() {
    let pac = start(&nobody().await);
    let reply = call(&pac, 5 * SECOND).await;
    assert!(
        matches!(reply, Err(AskError::Reply(PacError::Unavailable(_)))),
        "{reply:?}"
    );
}

#[actix_rt::test]
async fn a_pac_that_dies_between_command_and_answer_leaves_the_outcome_unknown() {
    let server = Server::start(Say::Nothing);
    let pac = start(&server.address());
    let asked = tokio::task::spawn_local({
        let pac = pac.clone();
        async move { call(&pac, 10 * SECOND).await }
    });
    until("it is with PAC", async || server.requests() == 1).await;
    let address = server.kill();
    let again = Server::start_at(address, Say::Taken(true, ""));
    let reply = asked.await.unwrap();
    assert!(unknown(&reply), "{reply:?}");
    until("the new one is connected", async || {
        pac.health().report().usable && again.seen.probes.load(Ordering::SeqCst) > 0
    })
    .await;
    assert_eq!(again.requests(), 0, "a command is not tried again");
}

#[actix_rt::test]
async fn no_answer_in_time_leaves_the_outcome_unknown_and_says_so_in_time() {
    let server = Server::start(Say::Nothing);
    let pac = start(&server.address());
    let asked = Instant::now();
    let reply = unanswered(&server, call(&pac, 3 * SECOND)).await;
    assert_eq!(reply, Err(AskError::Reply(PacError::NoAnswer)));
    assert!(asked.elapsed() < 3 * SECOND, "before its caller gave up");
    assert_eq!(server.requests(), 1);
}

#[actix_rt::test]
async fn a_command_without_time_for_an_answer_is_not_sent() {
    let server = Server::start(Say::Taken(true, ""));
    let pac = start(&server.address());
    let reply = call(&pac, Duration::from_millis(10)).await;
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: false }));
    assert_eq!(server.requests(), 0);
}

#[actix_rt::test]
async fn only_a_status_that_refuses_is_a_refusal() {
    let server = Server::start(Say::Nothing);
    let pac = start(&server.address());
    server.say(Say::Status(Code::PermissionDenied, "not you"));
    let expected = PacError::Status {
        code: "PERMISSION_DENIED",
        message: "not you".to_owned(),
    };
    assert_eq!(call(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
    for code in [
        Code::Internal,
        Code::Unknown,
        Code::Unavailable,
        Code::Cancelled,
        Code::Aborted,
    ] {
        server.say(Say::Status(code, "half-way"));
        let reply = call(&pac, 5 * SECOND).await;
        assert!(unknown(&reply), "{code:?}: {reply:?}");
    }
    assert_eq!(server.requests(), 6, "each was sent once");
}
