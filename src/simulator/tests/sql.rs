//! The database behind PAC.

use jiff::Timestamp;

use super::*;
use crate::cdr::{Recording, SourceRow as _, digest};
use crate::simulator::{Row, simulated_days};

#[actix_rt::test]
async fn rows_come_back_as_they_were_stored_to_the_microsecond() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 200);
    let mut cdrs = Vec::new();
    for appearance in &days {
        simulator.pbx().insert(&appearance.what).unwrap();
        if let Row::Cdr(row) = &appearance.what {
            cdrs.push((**row).clone());
        }
    }
    cdrs.sort_by_key(|row| row.cdr_id);
    assert_eq!(collected(&simulator).await, cdrs);
    let recordings = days.len() - cdrs.len();
    let sql = format!("SELECT {} FROM recordings", row_expression(Recording::COLUMNS));
    let stored = rows(&simulator, &sql).await;
    assert_eq!(stored.len(), recordings);
    assert!(stored.iter().all(|row| Recording::from_source(&row[0]).is_ok()));

    simulator.pbx().delete_cdr(cdrs[0].cdr_id).unwrap();
    assert_eq!(collected(&simulator).await, cdrs[1..]);
}

#[actix_rt::test]
async fn a_collectors_statements_run_and_digests_agree() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 50);
    days.iter()
        .for_each(|appearance| simulator.pbx().insert(&appearance.what).unwrap());
    let all = collected(&simulator).await;
    let now: Timestamp = "2026-02-12T00:00:00.000001Z".parse().unwrap();
    simulator.pbx().set_clock(now);
    let clock = rows(
        &simulator,
        "SELECT CAST(CAST(round(date_part('epoch', now()) * 1000000) AS bigint) AS text)",
    );
    assert_eq!(clock.await, [[now.as_microsecond().to_string()]]);

    let row = row_expression(Cdr::COLUMNS);
    let mut by_end = all.clone();
    by_end.sort_by_key(|row| (row.cdr_ended_at, row.cdr_id));
    let after = &by_end[9];
    let micros = after.cdr_ended_at.as_microsecond();
    let at = format!("to_timestamp({}.{:06})", micros / 1_000_000, micros % 1_000_000);
    let page = format!(
        "SELECT CAST(cdr_id AS text), CAST(CAST(round(date_part('epoch', cdr_ended_at) * 1000000) AS bigint) AS text), \
         md5({row}), {row} FROM cdroutput WHERE cdr_id >= '{}' AND cdr_ended_at >= {at} \
         AND (cdr_ended_at, cdr_id) > ({at}, '{}') ORDER BY cdr_ended_at, cdr_id LIMIT 2000",
        all[0].cdr_id, after.cdr_id,
    );
    let page = rows(&simulator, &page).await;
    let expected: Vec<_> = by_end[10..].iter().map(|row| row.cdr_id.to_string()).collect();
    assert_eq!(
        page.iter().map(|row| row[0].clone()).collect::<Vec<_>>(),
        expected
    );
    assert!(page.iter().all(|row| digest(&row[3]) == row[2]));

    let sum = format!(
        "SELECT CAST(count(*) AS text), coalesce(md5(string_agg(md5({row}), '' ORDER BY cdr_id)), '') FROM cdroutput"
    );
    let texts = rows(
        &simulator,
        &format!("SELECT {row} FROM cdroutput ORDER BY cdr_id"),
    )
    .await;
    let digests: String = texts.iter().map(|row| digest(&row[0])).collect();
    assert_eq!(
        rows(&simulator, &sum).await,
        [["50".to_owned(), digest(&digests)]]
    );
    let nothing = format!("{sum} WHERE cdr_id < '{}'", all[0].cdr_id);
    assert_eq!(rows(&simulator, &nothing).await, [["0", ""]]);
}

#[actix_rt::test]
async fn json_is_written_as_postgresql_writes_it() {
    let simulator = start(brisk()).await;
    let sql = r#"SELECT CAST(json_build_array('a"\', NULL, 7, 'Имя') AS text)"#;
    assert_eq!(rows(&simulator, sql).await, [[r#"["a\"\\", null, 7, "Имя"]"#]]);
    let some = "SELECT CAST(json_agg(json_build_array(x, 'y')) AS text) FROM (SELECT 1 AS x UNION SELECT 2)";
    assert_eq!(rows(&simulator, some).await, [[r#"[[1, "y"], [2, "y"]]"#]]);
    let text = "SELECT CAST(json_agg(x) AS text) FROM (SELECT '[1]' AS x)";
    assert_eq!(rows(&simulator, text).await, [[r#"["[1]"]"#]], "text is no JSON");

    let raw = async |sql: &str| execute(&simulator, sql).await.unwrap();
    let none = raw("SELECT json_agg(cdr_id) FROM cdroutput").await;
    assert_eq!(none, (r#"[[""]]"#.to_owned(), String::new()));
    assert_eq!(raw("SELECT cdr_id FROM cdroutput").await.0, "[]");
    assert_eq!(raw("SELECT 'Я+', NULL").await.0, r#"[["\u042F\u002B",""]]"#);
}

#[actix_rt::test]
async fn an_sql_error_comes_with_status_ok() {
    let simulator = start(brisk()).await;
    let cases = [
        (
            "SELECT 1 FROM absent",
            "42P01: relation \"absent\" does not exist",
        ),
        (
            "SELECT absent FROM cdroutput",
            "42703: column \"absent\" does not exist",
        ),
        ("SELECT absent(1)", "42883: function absent() does not exist"),
        ("SELEC 1", "42601: syntax error"),
        ("DELETE FROM cdroutput", "25006: cannot execute"),
    ];
    for (sql, expected) in cases {
        let (result, error) = execute(&simulator, sql).await.unwrap();
        assert_eq!(result, "[]");
        let start = format!("Npgsql.PostgresException (0x80004005): {expected}");
        assert!(error.starts_with(&start), "{sql}: {error}");
    }
}

#[actix_rt::test]
async fn values_that_are_not_cast_lose_what_dotnet_loses() {
    let simulator = start(brisk()).await;
    let days = simulated_days(3, "2026-02-10T00:00:00Z".parse().unwrap(), 1);
    simulator.pbx().insert(&days[0].what).unwrap();
    let sql = "SELECT processed, cdr_started_at, CAST(processed AS text) FROM cdroutput";
    let row = rows(&simulator, sql).await.remove(0);
    assert_eq!(row, ["True", "2/10/2026 12:00:00\u{202f}AM", "true"]);
}

#[actix_rt::test]
async fn only_rows_can_be_read() {
    let simulator = start(brisk()).await;
    for sql in [
        "ATTACH 'x.db' AS x",
        "VACUUM INTO 'x.db'",
        "DROP TABLE cdroutput",
        "PRAGMA query_only = 0",
    ] {
        let (result, error) = execute(&simulator, sql).await.unwrap();
        assert_eq!(result, "[]");
        assert!(error.contains("25006"), "{sql}: {error}");
    }
}
