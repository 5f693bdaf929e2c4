//! A flood of requests that are refused.

use super::{address, honest, raw};
use crate::support::app::LIMIT;
use crate::support::program::Program;

const REFUSED: usize = 1_000;

#[actix_rt::test]
async fn a_flood_of_refusals_does_not_flood_the_log() {
    let mut program = Program::serve(&[]);
    let origin = program.origin().await;
    let to = address(&origin);
    for _ in 0..REFUSED {
        let request = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = raw(to, request, LIMIT).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    honest(to).await;
    program.says(r#""route":"/livez""#).await;
    let said = program.said();
    // Those of the first hundred, and one a second after that.
    for word in [r#""code":"not_found""#, r#""status":404"#] {
        let lines = said.lines().filter(|line| line.contains(word)).count();
        assert!(
            (100..200).contains(&lines),
            "{lines} lines of {REFUSED} refusals: {word}"
        );
    }
    assert!(said.contains("that have no lines of their own"), "{said}");
}
