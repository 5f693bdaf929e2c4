//! `mege-gateway migrate`, and what `check` says before it.

use std::path::Path;

use crate::support::gateway::sqlite_in;
use crate::support::program::{Ended, Program, free_tcp_port};

async fn run(command: &str, store: &str) -> Ended {
    let variables = [("DATABASE_URL", store.to_owned())];
    Program::start(&[command], &variables).ended().await
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

/// What a gateway on the ledger makes when there is none.
fn secrets(file: &Path) -> u32 {
    let connection = rusqlite::Connection::open(file).expect("a store");
    let count = connection.query_row("SELECT count(*) FROM ledger_secret", [], |row| row.get(0));
    count.expect("a table")
}

/// Pretends that the schemas are of a program with more migrations.
fn of_a_later_program(file: &Path, history: &str) {
    let connection = rusqlite::Connection::open(file).expect("a store");
    let later = format!("UPDATE {history} SET version = version + 1000");
    connection.execute(&later, []).expect("a history");
}

#[actix_rt::test]
async fn both_stores_are_made_and_a_look_makes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite_in(folder.path());
    let looked = run("check", &store).await;
    assert_eq!(looked.code, Some(0), "{}", looked.said);
    for name in ["cdr", "ledger"] {
        let line = looked.line(&format!("{name}: "));
        assert_eq!(line, format!("{name}: ok (empty: the start makes its schema)"));
    }
    assert_eq!(files(folder.path()), 0);

    let made = run("migrate", &store).await;
    assert_eq!(made.code, Some(0), "{}", made.said);
    assert!(made.line("cdr: ").starts_with("cdr: made, version "));
    assert!(made.line("ledger: ").starts_with("ledger: made, version "));
    let again = run("migrate", &store).await;
    assert_eq!(again.code, Some(0), "{}", again.said);
    for name in ["cdr: ", "ledger: "] {
        assert!(again.line(name).ends_with(", up to date"), "{}", again.said);
    }
    let looked = run("check", &store).await;
    assert_eq!(looked.line("cdr: "), "cdr: ok");
    assert_eq!(looked.line("ledger: "), "ledger: ok");
    assert!(looked.line("keys: ").starts_with("keys: ok (open: "));
    assert_eq!(secrets(&folder.path().join("mege-ledger.sqlite")), 0);
}

#[actix_rt::test]
async fn a_store_of_a_later_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite_in(folder.path());
    assert_eq!(run("migrate", &store).await.code, Some(0));
    of_a_later_program(&folder.path().join("mege-ledger.sqlite"), "ledger_schema_history");
    for command in ["check", "migrate"] {
        let ended = run(command, &store).await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(
            ended.line("ledger: ").contains("it is of a later one"),
            "{}",
            ended.said
        );
        assert!(!ended.line("cdr: ").contains("failed"), "{}", ended.said);
    }
}

#[actix_rt::test]
async fn a_store_that_cannot_be_reached_is_said_with_its_reason() {
    let nowhere = format!("postgres://mege:s3cret@127.0.0.1:{}/mege", free_tcp_port());
    for store in ["sqlite:/nowhere/at/all/mege.sqlite", &nowhere] {
        let ended = run("migrate", store).await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        for name in ["cdr: ", "ledger: "] {
            let line = ended.line(name);
            assert!(line.contains("failed: the store is not available: "), "{line}");
        }
        assert!(!ended.said.contains("s3cret"), "{}", ended.said);
    }
}

#[cfg(feature = "peers")]
#[actix_rt::test]
async fn both_stores_are_made_in_postgresql() {
    let database = crate::support::postgres::fresh_database().await;
    let looked = run("check", &database.url).await;
    assert_eq!(looked.code, Some(0), "{}", looked.said);
    assert!(looked.line("cdr: ").contains("empty"), "{}", looked.said);
    let made = run("migrate", &database.url).await;
    assert_eq!(made.code, Some(0), "{}", made.said);
    assert!(made.line("cdr: ").starts_with("cdr: made, version "));
    assert!(made.line("ledger: ").starts_with("ledger: made, version "));
    let looked = run("check", &database.url).await;
    assert_eq!(looked.line("ledger: "), "ledger: ok");
}
