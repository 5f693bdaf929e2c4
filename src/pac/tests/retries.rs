//! Reads are repeated within their budget; commands, and what took its time, never.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tonic::Code;

use super::*;

/// How many reads in a row pay for one repeat.
const PER_RETRY: usize = 5;

fn ok() -> Say {
    Say::Result("[]".to_owned())
}

fn unavailable() -> Say {
    Say::Status(Code::Unavailable, "starting")
}

/// Reads well, so often that there is a budget for so many repeats.
async fn save(pac: &PacHandle, retries: usize) {
    for _ in 0..retries * PER_RETRY {
        read(pac, 5 * SECOND).await.unwrap();
    }
}

/// The two counters: repeated, and not.
fn counted(metrics: &PrometheusHandle) -> [usize; 2] {
    let text = metrics.render();
    ["mege_retries_total", "mege_retry_budget_exhausted_total"].map(|name| {
        let line = format!(r#"{name}{{pac="test"}} "#);
        let value = text.lines().find_map(|found| found.strip_prefix(&line));
        value.map_or(0, |value| value.parse().unwrap())
    })
}

#[actix_rt::test]
async fn a_pac_that_cannot_right_now_is_asked_again_at_most_twice() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let server = Server::start(ok());
    let pac = start(&server.address());
    save(&pac, 6).await;
    let before = server.requests();

    server.say(Say::UnavailableFirst(2, Box::new(ok())));
    assert_eq!(read(&pac, 5 * SECOND).await, Ok(Vec::new()));
    assert_eq!(server.requests() - before, 3);
    server.say(Say::UnavailableFirst(3, Box::new(ok())));
    let expected = PacError::Unavailable("starting".to_owned());
    assert_eq!(read(&pac, 5 * SECOND).await, Err(AskError::Reply(expected)));
    assert_eq!(server.requests() - before, 6);
    assert_eq!(counted(&recorder.handle()), [4, 0]);
}

#[actix_rt::test]
async fn repeats_are_a_fifth_of_all_reads_and_then_the_budget_is_used_up() {
    const FAILING: usize = 4;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let server = Server::start(ok());
    let pac = start(&server.address());
    save(&pac, 2).await;
    let before = server.requests();
    server.say(unavailable());
    for _ in 0..FAILING {
        read(&pac, 5 * SECOND).await.unwrap_err();
    }
    let repeated = server.requests() - before - FAILING;
    assert_eq!(repeated, (2 * PER_RETRY + FAILING) / PER_RETRY);
    // One read was repeated twice; of the others each would have been.
    assert_eq!(counted(&recorder.handle()), [repeated, FAILING - 1]);
}

#[actix_rt::test]
async fn a_read_outlives_the_connection_that_it_was_sent_on() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    save(&pac, 2).await;
    let before = server.requests();
    server.say(Say::Nothing);
    let asked = tokio::task::spawn_local({
        let pac = pac.clone();
        async move { read(&pac, 10 * SECOND).await }
    });
    until("it is with PAC", async || server.requests() > before).await;
    let address = server.kill();
    let again = Server::start_at(address, ok());
    assert_eq!(asked.await.unwrap(), Ok(Vec::new()));
    assert_eq!(again.requests(), 1);
}

#[actix_rt::test]
async fn what_took_its_time_is_not_repeated_nor_is_pacs_own_refusal() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    save(&pac, 6).await;
    let before = server.requests();
    server.say(Say::Nothing);
    let late = unanswered(&server, read(&pac, SECOND)).await;
    assert_eq!(late, Err(AskError::DeadlineExceeded { begun: true }));
    for code in [Code::Internal, Code::ResourceExhausted, Code::Cancelled] {
        server.say(Say::Status(code, "no"));
        read(&pac, 5 * SECOND).await.unwrap_err();
    }
    assert_eq!(server.requests() - before, 4, "each was sent once");
    server.say(unavailable());
    // The shortest wait before a repeat is 25 ms.
    let hurried = read(&pac, Duration::from_millis(20)).await;
    assert!(hurried.is_err(), "{hurried:?}");
    assert!(server.requests() - before <= 5, "nor what has no time for it");
}

#[actix_rt::test]
async fn a_command_is_never_repeated_however_much_was_saved() {
    let server = Server::start(ok());
    let pac = start(&server.address());
    save(&pac, 6).await;
    let before = server.requests();
    server.say(unavailable());
    let reply = call(&pac, 5 * SECOND).await;
    assert!(
        matches!(reply, Err(AskError::Reply(PacError::OutcomeUnknown(_)))),
        "{reply:?}"
    );
    assert_eq!(server.requests() - before, 1);
}
