//! What peers say, in the log and on the terminal.

use mege_gateway::simulator::{HowOften, PacFault, PacOperation};

use crate::support::app::{simulated, simulator};
use crate::support::program::Program;

#[actix_rt::test]
async fn a_peers_words_forge_no_line_and_reach_no_terminal() {
    let simulator = simulator().await;
    let words = "gone\u{1b}[2J\u{202e}drow\n2026-01-01T00:00:00Z ERROR forged".to_owned();
    let fault = PacFault::ErrorText(words);
    simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, fault, HowOften::UntilCleared);
    let mut variables = simulated(&simulator);
    variables.extend([
        ("APP_PORT", "0".to_owned()),
        ("MEGE__LOG__FORMAT", "text".to_owned()),
    ]);
    let program = Program::start(&["serve"], &variables);
    program.says("gone").await;
    let said = program.said();
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    for line in said.lines() {
        assert!(
            line.starts_with("20") && !line.contains("Z ERROR forged"),
            "{line}"
        );
    }
}
