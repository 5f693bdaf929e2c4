//! What Prometheus' own tool says of the files in `deploy/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{CONFIG, RULES, queries, rules};

const TESTS: &str = include_str!("../../peers/mege-gateway.rules.test.yml");

/// The files beside each other, with these rules.
fn folder(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("mege-gateway.rules.yml", rules),
        ("mege-gateway.rules.test.yml", TESTS),
        ("prometheus.yml", CONFIG),
        // The file is there; what is in it is not looked at.
        ("mege-gateway.key", "mege_\n"),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn promtool(folder: &Path, arguments: &[&str]) -> Output {
    let tool = std::env::var_os("MEGE_TEST_PROMTOOL");
    let tool = tool.expect("MEGE_TEST_PROMTOOL is not set: tests/run.sh installs promtool and sets it");
    let mut command = Command::new(tool);
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("promtool runs")
}

fn assert_passes(folder: &Path, arguments: &[&str]) {
    let output = promtool(folder, arguments);
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn the_rules_and_the_example_are_sound_and_alerts_fire_when_they_should() {
    let folder = folder(RULES);
    assert_passes(folder.path(), &["check", "rules", "mege-gateway.rules.yml"]);
    assert_passes(folder.path(), &["check", "config", "prometheus.yml"]);
    assert_passes(folder.path(), &["test", "rules", "mege-gateway.rules.test.yml"]);
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to() {
    let alerts: BTreeSet<&str> = rules().into_iter().map(|(name, _)| name).collect();
    let tested = |expected: &str| -> BTreeSet<&str> {
        let tests = TESTS.split("alertname: ").skip(1);
        let tests = tests.filter(|test| test.contains(expected));
        tests.filter_map(|test| test.split([',', '\n']).next()).collect()
    };
    assert_eq!(tested("exp_labels:"), alerts);
    assert_eq!(tested("exp_alerts: []"), alerts);
}

#[test]
fn the_tests_of_the_rules_notice_a_wrong_one() {
    for (right, wrong) in [
        (
            r#"mege_actor_state{state="failed"} == 1"#,
            r#"mege_actor_state{state="failed"} == 2"#,
        ),
        (
            "increase(mege_actor_panics_total[15m]) > 0",
            "mege_actor_panics_total > 0",
        ),
        ("max_over_time(mege_circuit_state[2m])", "mege_circuit_state"),
        ("for: 4m", "for: 2m"),
        ("unless on (job, instance, pbx)", "and on (job, instance, pbx)"),
        ("> 0.05", "> 0.5"),
    ] {
        assert!(RULES.contains(right), "{right}");
        let folder = folder(&RULES.replace(right, wrong));
        assert_passes(folder.path(), &["check", "rules", "mege-gateway.rules.yml"]);
        let output = promtool(folder.path(), &["test", "rules", "mege-gateway.rules.test.yml"]);
        assert!(!output.status.success(), "{wrong}");
    }
}

#[test]
fn every_query_of_the_dashboard_is_one() {
    let folder = folder(RULES);
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, (expression, _)) in queries().iter().enumerate() {
        // Grafana fills in its variables.
        let expression = expression
            .replace("$__rate_interval", "5m")
            .replace("$instance", ".*")
            .replace("$actor", ".*");
        assert!(!expression.contains('$'), "{expression}");
        let expression = serde_json::to_string(&expression).expect("a string");
        rules.push_str(&format!(
            "      - {{record: \"query:{number}\", expr: {expression}}}\n"
        ));
    }
    std::fs::write(folder.path().join("dashboard.yml"), rules).expect("a file");
    assert_passes(folder.path(), &["check", "rules", "dashboard.yml"]);
}
