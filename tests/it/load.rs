//! `mege-gateway load`, the program, against a whole gateway with a simulated PBX.

use std::time::Duration;

use mege_gateway::simulator::{AriFault, AriOperation, HowOften};
use serde_json::Value;

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;
use crate::support::program::{Ended, Program, free_tcp_port};
use crate::support::tls::Pair;

/// Whom the simulator has answering, and busy.
const EXTENSION: &str = "102";
const ANSWERS: &str = "79102223311";
const BUSY: &str = "79102223317";

fn start(url: &str, arguments: &[&str], variables: &[(&str, String)]) -> Program {
    let whom = [
        "load",
        "--url",
        url,
        "--extension",
        EXTENSION,
        "--answer",
        ANSWERS,
    ];
    Program::start(&[&whom, arguments].concat(), variables)
}

async fn load(url: &str, arguments: &[&str]) -> Ended {
    start(url, arguments, &[]).ended().await
}

fn report(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    serde_json::from_str(&ended.output).unwrap_or_else(|_| panic!("not JSON: {}", ended.said))
}

fn count(report: &Value, name: &str) -> u64 {
    report[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// How many requests ended so.
fn ended_with(report: &Value, status: u64, code: Option<&str>) -> u64 {
    let outcomes = report["outcomes"].as_array().expect("outcomes");
    let alike = |outcome: &&Value| outcome["status"] == status && outcome["code"].as_str() == code;
    outcomes
        .iter()
        .filter(alike)
        .map(|outcome| count(outcome, "count"))
        .sum()
}

fn assert_adds_up(report: &Value) {
    let sent = count(report, "sent_answer") + count(report, "sent_busy");
    assert_eq!(count(report, "due"), sent + count(report, "not_sent"), "{report}");
    let outcomes = report["outcomes"].as_array().expect("outcomes");
    let ended: u64 = outcomes.iter().map(|outcome| count(outcome, "count")).sum();
    assert_eq!(sent, ended + count(report, "unfinished"), "{report}");
}

#[actix_rt::test]
async fn every_call_is_accounted_for_and_the_busy_share_holds() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let mix = ["--busy", BUSY, "--busy-share", "25"];
    let pace = ["--rate", "50", "--duration", "2", "--json"];
    let ended = load(&app.root, &[&mix[..], &pace].concat()).await;
    let report = report(&ended);
    assert_adds_up(&report);
    assert_eq!((count(&report, "due"), count(&report, "unfinished")), (100, 0));

    // What the PBX received is what was sent, less what was refused before it.
    let received = simulator.asterisk().originates();
    let to = |number: &str| {
        let calls = received.iter();
        calls
            .filter(|call| call.extension.as_deref() == Some(number))
            .count() as u64
    };
    assert_eq!(to(ANSWERS) + to(BUSY), received.len() as u64);
    assert_eq!(received.len() as u64, ended_with(&report, 200, None));
    // Of the hundred, 75 are for the one number and 25 for the other; on a machine that stands still some are not sent.
    let (answers, busy) = (count(&report, "sent_answer"), count(&report, "sent_busy"));
    let not_sent = count(&report, "not_sent");
    assert!(not_sent < 50 && answers <= 75 && busy <= 25, "{report}");
    assert_eq!(answers + busy + not_sent, 100);
    assert!(to(ANSWERS) <= answers && to(BUSY) <= busy, "{report}");
    assert!(to(BUSY) > 0, "{report}");
    let latency = &report["latency"];
    let quantiles = ["p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"];
    let values = quantiles.map(|name| latency[name].as_f64().expect("a number"));
    assert!(values[0] > 0.0 && values.is_sorted(), "{latency}");
    assert!(!ended.said.contains(ANSWERS), "numbers are not repeated");
    app.stop().await;
}

#[actix_rt::test]
async fn an_overload_shows_as_refusals_and_each_request_is_placed_or_refused() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "1".to_owned()));
    variables.push(("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "0".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let slow = AriFault::Delay(Duration::from_millis(200));
    simulator
        .asterisk()
        .fail(AriOperation::Originate, slow, HowOften::UntilCleared);
    let ended = load(&app.root, &["--rate", "40", "--duration", "2", "--json"]).await;
    let report = report(&ended);
    assert_adds_up(&report);
    let (placed, refused) = (
        ended_with(&report, 200, None),
        ended_with(&report, 503, Some("saturated")),
    );
    assert!(placed > 0 && refused > placed, "{report}");
    assert_eq!(placed + refused + count(&report, "not_sent"), 80, "{report}");
    assert_eq!(simulator.asterisk().originates().len() as u64, placed);
    let outcomes = report["outcomes"].as_array().expect("outcomes");
    let refusals = outcomes.iter().find(|outcome| outcome["code"] == "saturated");
    assert_eq!(
        refusals.expect("refusals")["retry_after_s"],
        serde_json::json!([1, 1])
    );
    app.stop().await;
}

#[actix_rt::test]
async fn people_get_a_table_through_tls_with_a_key() {
    let simulator = simulator().await;
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::new();
    let mut variables = simulated(&simulator);
    variables.extend(pair.write(folder.path()));
    variables.push(("API_PREFIX", "api".to_owned()));
    let store = format!("sqlite:{}", folder.path().join("mege.sqlite").display());
    variables.push(("DATABASE_URL", store));
    let create = ["keys", "create", "--name", "load", "--scope", "calls:write"];
    let made = Program::start(&create, &variables).ended().await;
    let key = made.output.trim().to_owned();
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let url = app.root.replace("http://127.0.0.1", "https://localhost");
    let trusted = (
        "SSL_CERT_FILE",
        folder.path().join("tls.crt").display().to_string(),
    );
    let pace = ["--rate", "5", "--duration", "1"];

    let with_key = [trusted.clone(), ("MEGE_KEY", key.clone())];
    let ended = start(&url, &pace, &with_key).ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let sent = "5 originates became due at 5/s, 5 were sent (0 of them to the busy number), 0 were not";
    assert_eq!(ended.output.lines().next(), Some(sent), "{}", ended.said);
    let words: Vec<_> = ended.line("200").split_whitespace().collect();
    assert_eq!((words[0], words[1], words.len()), ("200", "5", 7));
    assert!(!ended.said.contains(&key), "{}", ended.said);

    // Without a key each is refused, which is what was measured; with another certificate there is nothing to measure.
    let ended = start(&url, &pace, &[trusted]).ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.line("401").contains(" 5 "), "{}", ended.said);
    let empty = folder.path().join("tls.key").display().to_string();
    let stranger = start(&url, &pace, &[("SSL_CERT_FILE", empty), ("MEGE_KEY", key)]);
    let ended = { stranger }.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert_eq!(simulator.asterisk().originates().len(), 5);
    app.stop().await;
}

#[actix_rt::test]
async fn stopped_early_it_tells_of_what_was_until_then() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    let mut program = start(&app.root, &["--rate", "20", "--duration", "3600", "--json"], &[]);
    eventually("calls come", LIMIT, async || {
        (simulator.asterisk().originates().len() >= 5).then_some(())
    })
    .await;
    program.signal("INT");
    let report = report(&program.ended().await);
    assert_adds_up(&report);
    assert_eq!(report["stopped"], true);
    assert!(count(&report, "due") >= 5, "{report}");
    app.stop().await;
}

#[actix_rt::test]
async fn without_a_gateway_it_fails_at_once_and_without_a_number_it_calls_nobody() {
    let nowhere = format!("http://127.0.0.1:{}", free_tcp_port());
    let ended = load(&nowhere, &["--duration", "3600"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let line = ended.line("mege-gateway: ");
    assert!(line.contains(&format!("{nowhere} cannot be reached")), "{line}");

    let variables = [("MEGE_KEY", "mege_hidden".to_owned())];
    let whom = ["--extension", "102", "--answer"];
    for (arguments, word) in [
        (&[][..], "--extension"),
        (&whom[..2], "--answer"),
        (&[&whom[..], &["0079102223311"]].concat(), "whole numbers"),
        (&[&whom[..], &[ANSWERS]].concat(), "MEGE_KEY holds no key"),
    ] {
        let arguments = [&["load"], arguments].concat();
        let ended = Program::start(&arguments, &variables).ended().await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.said);
        assert!(ended.said.contains(word), "{}", ended.said);
        assert!(!ended.said.contains("hidden"), "{}", ended.said);
    }
}
