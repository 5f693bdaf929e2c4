//! `mege-gateway check`, as an administrator runs it before a start.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use mege_gateway::simulator::{AriFault, AriOperation, HowOften, Simulator};

use crate::support::app::{LIMIT, TestApp, simulated, simulator};
use crate::support::calls::{call_id, detail};
use crate::support::eventually;
use crate::support::program::{Ended, Program, free_tcp_port};

/// Runs it with these variables over those that lead to the simulator. No secret is ever said.
async fn check(simulator: &Simulator, others: &[(&'static str, &str)]) -> Ended {
    let mut variables = simulated(simulator);
    variables.extend(others.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let ended = Program::start(&["check"], &variables).ended().await;
    for secret in ["hidden", "s3cret"] {
        assert!(!ended.said.contains(secret), "{}", ended.said);
    }
    ended
}

/// The name of each line of a check of one of each.
const LINES: [&str; 6] = [
    "configuration",
    "cdr",
    "ledger",
    "keys",
    "asterisk.main",
    "pac.main",
];

#[actix_rt::test]
async fn all_that_works_has_a_line_of_its_own() {
    let simulator = simulator().await;
    let ended = check(&simulator, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let lines: Vec<_> = ended.said.lines().collect();
    assert_eq!(
        lines,
        [
            "configuration: ok",
            "cdr: ok (empty: the start makes its schema)",
            "ledger: ok (empty: the start makes its schema)",
            "keys: ok (open: no key was ever made, so anybody on this machine may do everything)",
            "asterisk.main: ok (Asterisk 22.10.1)",
            "pac.main: ok"
        ]
    );
}

#[actix_rt::test]
async fn what_does_not_work_is_named_with_its_reason_and_the_rest_is_tried() {
    let simulator = simulator().await;
    let nowhere = format!("127.0.0.1:{}", free_tcp_port());
    let postgres = format!("postgres://mege:s3cret@{nowhere}/mege");
    let port = free_tcp_port().to_string();
    let cases: [(&str, &str, &[&str], &str); 7] = [
        (
            "ASTERISK_ARI_CALL_PASSWORD",
            "hidden",
            &["asterisk.main"],
            "refused the user or password",
        ),
        (
            "ASTERISK_PBX3CX_TRUNK_ID",
            "nowhere",
            &["asterisk.main"],
            "does not know the trunk nowhere",
        ),
        (
            "ASTERISK_ARI_PORT",
            &port,
            &["asterisk.main"],
            "did not reach Asterisk",
        ),
        ("PAC_HOST", &nowhere, &["pac.main"], "failed: "),
        (
            "DATABASE_URL",
            "sqlite:/nowhere/at/all/mege.sqlite",
            &["cdr", "ledger", "keys"],
            "failed: ",
        ),
        ("DATABASE_URL", &postgres, &["cdr", "ledger", "keys"], "failed: "),
        (
            "PBX_RECORDING_PATH",
            "/nowhere/at/all",
            &["recordings.main"],
            "failed: the directory cannot be used: it is not there",
        ),
    ];
    for (name, value, broken, reason) in cases {
        let ended = check(&simulator, &[(name, value)]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        for line in LINES.iter().chain(broken) {
            let said = ended.line(&format!("{line}: "));
            let expected = if broken.contains(line) { reason } else { "ok" };
            assert!(said.contains(expected), "{name}: {}", ended.said);
            assert!(!said.contains("being opened"), "{said}");
        }
    }
}

#[actix_rt::test]
async fn an_asterisk_that_does_not_answer_is_not_waited_for_long() {
    let simulator = simulator().await;
    let asterisk = simulator.asterisk();
    asterisk.fail(AriOperation::Other, AriFault::Hang, HowOften::UntilCleared);
    let ended = check(&simulator, &[("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "500")]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.line("asterisk.main: ").contains("did not answer in time"),
        "{}",
        ended.said
    );
}

#[actix_rt::test]
async fn a_configuration_that_cannot_be_used_is_another_exit_code() {
    let simulator = simulator().await;
    let ended = check(&simulator, &[("ASTERISK_ARI_PORT", "many")]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("asterisk.main.port"), "{}", ended.said);
}

#[actix_rt::test]
async fn a_gateway_without_integrations_is_said_to_have_none() {
    let ended = Program::start(&["check"], &[]).ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(ended.line("asterisk"), "asterisk: none is configured");
    assert_eq!(ended.line("pac"), "pac: none is configured");
}

#[actix_rt::test]
async fn a_gateway_that_runs_is_not_disturbed() {
    let simulator = simulator().await;
    let app = TestApp::start(&simulated(&simulator)).await;
    app.connected().await;
    assert_eq!(check(&simulator, &[]).await.code, Some(0));
    let detail = detail(&app);
    assert_eq!(
        (&detail["connection"], &detail["connects"]),
        (&"connected".into(), &1.into())
    );
    let requests = simulator.asterisk().requests();
    assert_eq!(requests["GET /events"], 1, "no socket but the gateway's");
    assert!(simulator.asterisk().originates().is_empty());
    call_id(&app.make_call(102, 79_990_000_001).await);
}

#[actix_rt::test]
async fn the_stores_files_are_for_their_owner_alone_and_looser_ones_are_said() {
    let mut anything_goes = Command::new("sh");
    anything_goes.args(["-c", "umask 0; exec \"$@\"", "sh"]);
    let mut gateway = Program::serve_by(anything_goes, &[]);
    gateway.origin().await;
    let folder = gateway.folder();
    let files = [
        "mege.sqlite",
        "mege.sqlite-wal",
        "mege.sqlite-shm",
        "mege-ledger.sqlite",
        "mege-ledger.sqlite-wal",
        "mege-ledger.sqlite-shm",
    ]
    .map(|name| folder.join(name));
    eventually("the stores are there", LIMIT, async || {
        files.iter().all(|file| file.exists()).then_some(())
    })
    .await;
    for file in &files {
        let mode = std::fs::metadata(file).expect("the file").mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let url = format!("sqlite:{}", files[0].display());
    let check = async || {
        Program::start(&["check"], &[("DATABASE_URL", url.clone())])
            .ended()
            .await
    };
    let said = check().await.said;
    assert!(
        said.contains("cdr: ok\n") && said.contains("ledger: ok\n"),
        "{said}"
    );
    std::fs::set_permissions(&files[4], Permissions::from_mode(0o640)).expect("its owner may");
    let said = check().await.said;
    assert!(said.contains("cdr: ok\n"), "{said}");
    assert!(
        said.contains("ledger: ok (other users of this machine may read its file: chmod 600)"),
        "{said}"
    );
}
