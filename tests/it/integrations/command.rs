//! `mege-gateway integrations`.

use mege_gateway::actor::State;
use serde_json::Value;
use tokio::time::timeout;

use super::fail_for_good;
use crate::access::make;
use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::eventually;
use crate::support::program::{Ended, Program, free_tcp_port, run};

/// Asks the gateway as the command does, with these variables.
async fn integrations(app: &TestApp, line: &str, variables: &[(&str, String)]) -> Ended {
    let line = format!("integrations {line} --url {}", app.root);
    let arguments: Vec<&str> = line.split_whitespace().collect();
    run(&arguments, variables, &[]).await
}

#[actix_rt::test]
async fn operators_see_and_restart_and_pause_from_a_shell() {
    let simulator = simulator().await;
    let mut variables = simulated(&simulator);
    variables.push(("API_PREFIX", "api".to_owned()));
    let app = TestApp::start(&variables).await;
    app.connected().await;
    let table = integrations(&app, "", &[]).await;
    assert_eq!(table.code, Some(0), "{}", table.said);
    for name in [
        "NAME",
        "asterisk.main",
        "cdr",
        "collector.main",
        "ledger",
        "pac.main",
    ] {
        assert_eq!(
            table
                .output
                .lines()
                .filter(|line| line.starts_with(&format!("{name} ")))
                .count(),
            1,
            "{}",
            table.output
        );
    }
    let asterisk = |table: &Ended| {
        let words = table.line("asterisk.main").split_whitespace();
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(asterisk(&table)[1], "running");

    let handle = &app.integrations.asterisk["main"];
    fail_for_good(handle).await;
    let failed = integrations(&app, "", &[]).await;
    assert_eq!(asterisk(&failed)[1], "failed", "{}", failed.said);
    let restarted = integrations(&app, "restart asterisk.main", &[]).await;
    assert_eq!(restarted.code, Some(0), "{}", restarted.said);
    assert!(
        restarted.output.starts_with("asterisk.main runs again after "),
        "{}",
        restarted.said
    );
    timeout(LIMIT, handle.health().reached(State::Running))
        .await
        .expect("it runs");

    let paused = integrations(&app, "pause asterisk.main", &[]).await;
    assert_eq!(
        (paused.code, paused.output.as_str()),
        (Some(0), "asterisk.main is paused\n")
    );
    assert!(handle.health().report().paused_since.is_some());
    let table = integrations(&app, "", &[]).await;
    assert_eq!(asterisk(&table)[1..3], ["running,", "paused"]);
    let resumed = integrations(&app, "resume asterisk.main", &[]).await;
    assert_eq!(
        (resumed.code, resumed.output.as_str()),
        (Some(0), "asterisk.main is resumed\n")
    );
    assert!(handle.health().report().paused_since.is_none());

    app.connected().await;
    let shown = integrations(&app, "show asterisk.main --json", &[]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.said);
    let shown: Value = serde_json::from_str(&shown.output).expect("JSON");
    assert_eq!(shown["detail"]["connection"], "connected");
    let shown = integrations(&app, "show asterisk.main", &[]).await;
    assert!(
        shown.output.contains("\"connection\": \"connected\""),
        "{}",
        shown.output
    );
    assert!(
        shown.output.contains("\"reason\": \"operator\""),
        "{}",
        shown.output
    );
    let list = integrations(&app, "--json", &[]).await;
    let list: Value = serde_json::from_str(&list.output).expect("JSON");
    assert_eq!(list["integrations"].as_array().map(Vec::len), Some(5));
    app.stop().await;
}

#[actix_rt::test]
async fn what_cannot_be_done_is_said_and_ends_with_one() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    let unknown = integrations(&app, "restart asterisk.other", &[]).await;
    assert_eq!(unknown.code, Some(1), "{}", unknown.said);
    assert!(
        unknown
            .errors
            .contains("there is no such integration (not_found)"),
        "{}",
        unknown.errors
    );

    // With a key: of a variable, or a file.
    let admin = make(&app, "admin", &["admin"], None).await;
    let reader = make(&app, "reader", &["status:read"], None).await;
    let none = integrations(&app, "", &[]).await;
    assert!(
        none.code == Some(1) && none.errors.contains("(unauthenticated)"),
        "{}",
        none.said
    );
    let key = |secret: &str| [("MEGE_KEY", secret.to_owned())];
    let lacking = integrations(&app, "restart pac.main", &key(reader.secret.expose())).await;
    assert!(
        lacking.code == Some(1) && lacking.errors.contains("(scope_missing)"),
        "{}",
        lacking.said
    );
    let right = integrations(&app, "restart pac.main", &key(admin.secret.expose())).await;
    assert_eq!(right.code, Some(0), "{}", right.said);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), admin.secret.expose()).expect("a key");
    let path = file.path().display();
    let right = integrations(&app, &format!("pause pac.main --key-file {path}"), &[]).await;
    assert_eq!(right.code, Some(0), "{}", right.said);
    until_paused(&app).await;

    let wrong = integrations(&app, "dance pac.main", &[]).await;
    assert_eq!(wrong.code, Some(2), "{}", wrong.said);
    app.stop().await;
}

async fn until_paused(app: &TestApp) {
    eventually("paused", LIMIT, async || {
        let report = app.integrations.pac["main"].health().report();
        report.paused_since.map(|_| ())
    })
    .await;
}

#[actix_rt::test]
async fn it_finds_the_gateway_by_its_settings_and_says_where_there_is_none() {
    let port = ("APP_PORT", free_tcp_port().to_string());
    let none = run(&["integrations"], std::slice::from_ref(&port), &[]).await;
    assert_eq!(none.code, Some(1), "{}", none.said);
    assert!(
        none.errors
            .contains(&format!("http://127.0.0.1:{} cannot be reached", port.1)),
        "{}",
        none.errors
    );

    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("mege.sqlite").display());
    let variables = [
        port,
        ("DATABASE_URL", store),
        ("PAC_HOST", "127.0.0.1:9".to_owned()),
    ];
    let mut program = Program::start(&["serve"], &variables);
    program.says("listening").await;
    let table = run(&["integrations"], &variables, &[]).await;
    assert_eq!(table.code, Some(0), "{}", table.said);
    assert!(table.line("pac.main").contains("running"), "{}", table.said);
    program.signal("TERM");
    assert_eq!(program.ended().await.code, Some(0));
}
