//! `ExecuteSql`: rows, and every way to have none.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::actor::Class;

fn rows(text: &str) -> Say {
    Say::Result(text.to_owned())
}

#[actix_rt::test]
async fn rows_of_strings_come_back_as_they_are() {
    let server = Server::start(rows(r#"[["1","\u0416"],["",""]]"#));
    let pac = start(&server.address());
    let reply = read(&pac, 5 * SECOND).await.unwrap();
    assert_eq!(reply, [["1", "Ж"], ["", ""]]);
    server.say(rows("[]"));
    assert!(read(&pac, 5 * SECOND).await.unwrap().is_empty());
}

#[actix_rt::test]
async fn an_error_inside_an_ok_reply_is_an_error() {
    let server = Server::start(Say::Error(
        "Npgsql.PostgresException (0x80004005): 42P01: relation \"x\" does not exist\n   at Npgsql.Internal",
    ));
    let pac = start(&server.address());
    let expected = PacError::Rejected("42P01: relation \"x\" does not exist".to_owned());
    assert_eq!(read(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
}

#[actix_rt::test]
async fn a_reply_that_is_no_rows_is_a_decode_error() {
    let server = Server::start(rows(r#"[["1", 2]]"#));
    let pac = start(&server.address());
    let reply = read(&pac, 5 * SECOND).await;
    assert!(
        matches!(reply, Err(AskError::Reply(PacError::Decode(_)))),
        "{reply:?}"
    );
}

#[actix_rt::test]
async fn a_slow_reply_ends_at_the_deadline_and_is_cancelled_at_pac() {
    let server = Server::start(Say::Nothing);
    let pac = start(&server.address());
    let asked = Instant::now();
    let reply = unanswered(&server, read(&pac, 3 * SECOND)).await;
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: true }));
    assert!((3 * SECOND..9 * SECOND).contains(&asked.elapsed()));
    let told = server.seen.timeout.lock().unwrap().clone().unwrap();
    let micros: u64 = told.strip_suffix('u').unwrap().parse().unwrap();
    assert!((1..=3_000_000).contains(&micros), "grpc-timeout was {told}");
    until("the server sees the cancel", async || {
        server.seen.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    until("the permit is back", async || pac.in_flight(Class::Read) == 0).await;
}

#[actix_rt::test]
async fn the_request_timeout_bounds_a_patient_caller() {
    let server = Server::start(Say::Nothing);
    let mut settings = settings(&server.address());
    settings.request_timeout_ms = 3_000;
    let pac = start_with(settings);
    let asked = Instant::now();
    let reply = unanswered(&server, read(&pac, 30 * SECOND)).await;
    assert_eq!(reply, Err(AskError::DeadlineExceeded { begun: true }));
    assert!(asked.elapsed() < 10 * SECOND);
}

#[actix_rt::test]
async fn an_oversized_reply_names_the_limit() {
    let server = Server::start(rows(&format!("[[\"{}\"]]", "x".repeat(5_000))));
    let mut settings = settings(&server.address());
    settings.max_reply_bytes = 4_096;
    let pac = start_with(settings);
    let reply = read(&pac, 5 * SECOND).await;
    assert_eq!(reply, Err(AskError::Reply(PacError::TooLarge { limit: 4_096 })));
    // The same code in PAC's own mouth is another thing.
    server.say(Say::Status(Code::OutOfRange, "page 7 of 5"));
    let expected = PacError::Status {
        code: "OUT_OF_RANGE",
        message: "page 7 of 5".to_owned(),
    };
    assert_eq!(read(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
}

#[actix_rt::test]
async fn pacs_own_status_is_passed_on_and_unavailable_is_unavailable() {
    let server = Server::start(Say::Status(Code::Internal, "broken for +79102223311\n at Line 1"));
    let pac = start(&server.address());
    let expected = PacError::Status {
        code: "INTERNAL",
        message: "broken for +…".to_owned(),
    };
    assert_eq!(read(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
    server.say(Say::Status(Code::Unavailable, "starting"));
    let expected = PacError::Unavailable("starting".to_owned());
    assert_eq!(read(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
}

#[actix_rt::test]
async fn twenty_asks_on_eight_permits_all_succeed_eight_at_a_time() {
    let released = CancellationToken::new();
    let server = Server::start(Say::Held(released.clone(), r#"[["1"]]"#.to_owned()));
    let mut settings = settings(&server.address());
    settings.limits.wait_ms = 60_000;
    let pac = start_with(settings);
    let release = async {
        let waiting = || pac.load_of(Class::Read).unwrap().waiting;
        until("the others wait", async || {
            server.requests() == 8 && waiting() == 12
        })
        .await;
        released.cancel();
    };
    let asked = join_all((0..20).map(|_| read(&pac, LIMIT)));
    let (replies, ()) = futures_util::join!(asked, release);
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!(server.seen.peak.load(Ordering::SeqCst), 8);
}

#[actix_rt::test]
async fn outcomes_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let server = Server::start(rows("[]"));
    let pac = start(&server.address());
    read(&pac, 5 * SECOND).await.unwrap();
    server.say(Say::Nothing);
    unanswered(&server, read(&pac, SECOND)).await.unwrap_err();
    until("both outcomes are counted", async || {
        let text = metrics.render();
        ["ok", "deadline"].iter().all(|outcome| {
            text.contains(&format!(
                r#"mege_pac_requests_total{{pac="test",operation="execute_sql",outcome="{outcome}"}} 1"#
            ))
        })
    })
    .await;
}
