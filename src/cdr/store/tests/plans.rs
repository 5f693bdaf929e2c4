//! How SQLite goes about the statements.

use rusqlite::Connection;

use super::super::sql;
use crate::database::Dialect;

/// How SQLite goes about a statement over the schema, without statistics, as in production.
fn plan(sql: &str) -> String {
    let connection = Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../migrations/sqlite/V1__cdr.sql"),
        include_str!("../migrations/sqlite/V2__client_cursor.sql"),
    ] {
        connection.execute_batch(migration).unwrap();
    }
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let params = vec![rusqlite::types::Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(params), |row| row.get::<_, String>(3));
    let steps = steps.unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_search_finds_its_first_page_by_call_and_the_next_ones_by_leg() {
    let first = plan(sql::FIRST_AFTER_CALL_ID);
    let by_call = "USING COVERING INDEX cdr_call (pbx=? AND call_history_id>?)";
    assert!(first.contains(by_call), "{first}");
    let next = plan(sql::NEXT_AFTER_CALL_ID);
    let by_leg = "USING INDEX sqlite_autoindex_cdr_1 (pbx=? AND cdr_id>?)";
    assert!(next.contains(by_leg), "{next}");
    assert!(!next.contains("TEMP B-TREE"), "{next}");
    for recordings in [&first, &next] {
        let by_leg = "SEARCH r USING INDEX recording_leg (pbx=? AND cdr_id=?)";
        assert!(recordings.contains(by_leg), "{recordings}");
        let first = "SEARCH r USING COVERING INDEX recording_leg (pbx=? AND cdr_id=?)";
        assert!(recordings.contains(first), "{recordings}");
    }
}

#[test]
fn what_was_stored_since_comes_from_the_feed_and_then_by_leg() {
    let feed = "USING COVERING INDEX cdr_feed (pbx=? AND seq>?";
    let late = plan(sql::LATE_UNTIL);
    assert!(late.contains(feed) && !late.contains("TEMP B-TREE"), "{late}");
    let since = plan(sql::LEGS_SINCE);
    assert!(since.contains(feed), "{since}");
    let greater = plan(sql::legs_since(0));
    let by_call = "USING COVERING INDEX cdr_call (pbx=? AND call_history_id>?)";
    assert!(greater.contains(feed) && greater.contains(by_call), "{greater}");
    let legs = plan(&sql::legs_of(Dialect::Sqlite));
    let by_leg = "USING INDEX sqlite_autoindex_cdr_1 (pbx=? AND cdr_id=?)";
    assert!(legs.contains(by_leg) && !legs.contains("FOR ORDER BY"), "{legs}");
}

#[test]
fn what_was_handed_out_is_found_and_forgotten_by_an_index() {
    for statement in [sql::RESUME, sql::REMEMBERED] {
        let plan = plan(statement);
        let by_key = "client_cursor USING PRIMARY KEY (pbx=? AND client=? AND call_id=?)";
        assert!(plan.contains(by_key), "{plan}");
    }
    for (statement, index) in [
        (
            sql::FORGET_OLD,
            "USING COVERING INDEX client_cursor_age (handed_out_at<?)",
        ),
        (
            sql::FORGET_SURPLUS,
            "USING COVERING INDEX client_cursor_client (pbx=? AND client=?)",
        ),
    ] {
        let plan = plan(statement);
        assert!(
            plan.contains(index) && !plan.contains("SCAN client_cursor"),
            "{plan}"
        );
    }
}

#[test]
fn what_all_clients_have_too_many_of_is_found_in_the_order_of_its_age() {
    let plan = plan(sql::FORGET_BEYOND);
    let oldest = "SEARCH client_cursor USING COVERING INDEX client_cursor_age (handed_out_at<?)";
    assert!(plan.contains(oldest) && !plan.contains("FOR ORDER BY"), "{plan}");
}

#[test]
fn the_last_call_id_digests_and_files_come_from_an_index() {
    let last = plan(sql::LAST_CALL_ID);
    let from_its_end = "SEARCH cdr USING COVERING INDEX cdr_call (pbx=?)";
    assert!(last.contains(from_its_end), "{last}");
    for statement in [
        sql::FIRST_CALL_ID,
        sql::LEG_DIGESTS,
        sql::RECORDING_DIGESTS,
        sql::RECORDING_FILE,
    ] {
        let plan = plan(statement);
        assert!(
            plan.starts_with("SEARCH ") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
