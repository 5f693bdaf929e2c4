//! `mege-gateway demo` and `simulate`, as somebody tries them for the first time.

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::support::app::LIMIT;
use crate::support::eventually;
use crate::support::program::{Program, free_tcp_port};

/// Runs a line of a shell and gives what it printed.
async fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output();
    let output = tokio::time::timeout(LIMIT, output).await.expect("an end in time");
    let output = output.expect("a shell");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().expect("a folder").next().is_none()
}

#[actix_rt::test]
async fn the_demo_prints_lines_that_work_and_leaves_nothing() {
    // A real PBX that is configured is not touched, and its clients are not let in.
    let variables = [
        ("MEGE__HTTP__ADDRESS", "0.0.0.0".to_owned()),
        ("MEGE__AUTH__TRUST", "127.0.0.0/8=crm".to_owned()),
        ("APP_PORT", free_tcp_port().to_string()),
        ("API_PREFIX", "v0".to_owned()),
        ("PAC_HOST", format!("127.0.0.1:{}", free_tcp_port())),
        ("DATABASE_URL", "sqlite:/nowhere/at/all.sqlite".to_owned()),
    ];
    let mut demo = Program::start(&["demo"], &variables);
    demo.says("/docs\n").await;
    let said = demo.said().replace("\\\n", " ");
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(lines.len(), 7, "{said}");
    let line = |part: &str| {
        let found = lines.iter().find(|line| line.contains(part));
        *found.unwrap_or_else(|| panic!("no line with {part}: {said}"))
    };

    eventually("a call is placed", LIMIT, async || {
        let placed = json(&sh(line("make-call")).await);
        (placed["originateCallStatus"] == "successful").then_some(())
    })
    .await;
    let load = said
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("mege-gateway load "));
    let load = load
        .expect("a line for load")
        .replace("--rate 20", "--rate 20 --duration 1 --json");
    let program = env!("CARGO_BIN_EXE_mege-gateway");
    let report = json(&sh(&load.replace("mege-gateway", program)).await);
    assert_eq!(report["outcomes"][0]["status"], 200, "{report}");
    let calls = json(&sh(line("/v1/calls")).await);
    assert_eq!(calls["items"].as_array().expect("calls").len(), 2, "{calls}");
    let status = json(&sh(line("/status")).await);
    assert_eq!(
        status["actors"]["asterisk.main"]["detail"]["connection"],
        "connected"
    );
    assert!(sh(line("/metrics")).await.contains("mege_ask_seconds"));
    eventually("CDRs are there", LIMIT, async || {
        let last = json(&sh(line("last-call-id")).await);
        last["call_id"]
            .as_str()
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
    })
    .await;
    let cdrs = json(&sh(line("/cdr")).await);
    assert!(cdrs[0]["cdr_id"].is_string(), "{cdrs}");
    let page = said.lines().find_map(|line| line.split_once("in a browser: "));
    let (_, page) = page.expect("a page");
    let page = sh(&format!("curl -s {page}")).await;
    assert!(page.contains("<html"), "{page}");

    let link = eventually("a link is there", LIMIT, async || {
        let link = sh(line("/media")).await;
        (!link.is_empty()).then_some(link)
    })
    .await;
    let file = demo.temporary().join("recording");
    sh(&format!("curl -sf -o {} '{}'", file.display(), link.trim())).await;
    assert!(
        std::fs::read(&file).expect("a file").starts_with(b"RIFF"),
        "{link}"
    );
    std::fs::remove_file(file).expect("it goes");

    demo.signal("TERM");
    let ended = demo.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(is_empty(&demo.temporary()), "nothing is left");
}

#[actix_rt::test]
async fn the_demo_says_what_goes_wrong_where_it_is_asked_to() {
    let port = free_tcp_port();
    let mut demo = Program::start(&["demo", "--faults"], &[("APP_PORT", port.to_string())]);
    demo.says(" ARI is slow for 10 s: make-call takes 2 s").await;
    demo.signal("TERM");
    let ended = demo.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(is_empty(&demo.temporary()), "nothing is left");
}

#[actix_rt::test]
async fn a_demo_that_cannot_start_says_why_and_leaves_nothing() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let mut demo = Program::start(&["demo"], &[("APP_PORT", port.to_string())]);
    let ended = demo.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let line = ended.line("mege-gateway: ");
    assert!(
        line.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{line}"
    );
    assert!(is_empty(&demo.temporary()), "nothing is left");
}

#[actix_rt::test]
async fn the_simulator_prints_what_a_gateway_needs_or_which_port_is_taken() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for ports in [[&port, "0"], ["0", &port]] {
        let [ari, pac] = ports;
        let arguments = ["simulate", "--ari-port", ari, "--pac-port", pac];
        let ended = Program::start(&arguments, &[]).ended().await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert_eq!(
            ended.line("mege-gateway: "),
            format!("mege-gateway: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)")
        );
    }
    let arguments = ["simulate", "--ari-port", "0", "--pac-port", "0"];
    let mut simulate = Program::start(&arguments, &[]);
    simulate.says("any other answers.").await;
    let said = simulate.said();
    let variables = said.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<_> = variables.map(|(name, value)| (name, value.to_owned())).collect();
    assert_eq!(variables.len(), 7, "{said}");
    let checked = Program::start(&["check"], &variables).ended().await;
    assert_eq!(checked.code, Some(0), "{}", checked.said);
    simulate.signal("TERM");
    assert_eq!(simulate.ended().await.code, Some(0));
}
