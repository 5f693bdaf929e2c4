//! The SQL that is run on a 3CX database, all of it.
//!
//! PAC turns every value into text by .NET's rules, which lose fractions of a second and tell NULL from `''` no
//! more; so every value is text before PAC sees it. A whole row is one JSON array of text, and its MD5, computed
//! beside it, shows whether it arrived as it is. The text is portable: the same statements run on PostgreSQL and on
//! the simulated PBX.
//!
//! The order is by `table.column`: PostgreSQL calls `CAST(id AS text)` `id` too, and would sort by that text.
//!
//! Legs without an end are not listed, counted or fetched: they are not CDRs yet.

use std::fmt::Write as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use uuid::Uuid;

use super::rows::Row;
use crate::cdr::{Cdr, Column, Kind, Recording, SourceRow};
use crate::pac::{Param, Statement};

/// How many keys and digests are listed at once: some 100 bytes each.
pub(super) const LIST_ROWS: usize = 2_000;

/// A moment as microseconds since 1970. A double holds them exactly until the year 2106. What no number can hold, such
/// as `infinity`, stays text, so that it spoils its own row and not the statement.
fn micros(column: &str) -> String {
    format!(
        "CASE WHEN date_part('epoch', {column}) BETWEEN -62135596800 AND 253402300800 \
         THEN CAST(CAST(round(date_part('epoch', {column}) * 1000000) AS bigint) AS text) \
         ELSE CAST({column} AS text) END"
    )
}

/// A row as one JSON array of text.
fn row(columns: &[Column]) -> String {
    let mut sql = "CAST(json_build_array(".to_owned();
    for (index, Column { name, kind }) in columns.iter().enumerate() {
        if index > 0 {
            sql.push_str(", ");
        }
        let _ = match kind {
            Kind::Id | Kind::Flag | Kind::Integer | Kind::Text => write!(sql, "CAST({name} AS text)"),
            Kind::Moment => write!(sql, "{}", micros(name)),
        };
    }
    sql.push_str(") AS text)");
    sql
}

/// What is asked of one table: each statement's name and text.
pub(super) struct TableQueries {
    list: (&'static str, String),
    fetch: (&'static str, String),
    tally: (&'static str, String),
}

impl TableQueries {
    fn of<R: SourceRow>([list, fetch, tally]: [&'static str; 3]) -> Self {
        let (table, condition, key) = (R::SOURCE_TABLE, R::SOURCE_CONDITION, R::COLUMNS[0].name);
        let row = row(R::COLUMNS);
        let between = format!("FROM {table} WHERE {key} >= $1 AND {key} < $2 AND {condition}");
        let listed =
            format!("SELECT CAST({key} AS text), md5({row}) {between} ORDER BY {table}.{key} LIMIT $3");
        let fetched = format!(
            "SELECT CAST({key} AS text), line, md5(line) FROM (SELECT {key}, {row} AS line FROM {table} \
             WHERE {key} IN ($1) AND {condition}) AS listed ORDER BY listed.{key}, line"
        );
        let tallied = format!(
            "SELECT CAST(count(*) AS text), md5(coalesce(string_agg(digest, '' ORDER BY {key}, digest), '')) \
             FROM (SELECT {key}, md5({row}) AS digest {between}) AS listed"
        );
        Self {
            list: (list, listed),
            fetch: (fetch, fetched),
            tally: (tally, tallied),
        }
    }
}

pub(super) static CDRS: LazyLock<TableQueries> =
    LazyLock::new(|| TableQueries::of::<Cdr>(["list_cdrs", "fetch_cdrs", "tally_cdrs"]));
/// Recordings without a leg's id are of older versions of 3CX and belong to no CDR.
pub(super) static RECORDINGS: LazyLock<TableQueries> = LazyLock::new(|| {
    TableQueries::of::<Recording>(["list_recordings", "fetch_recordings", "tally_recordings"])
});

/// Rows with `from <= key < until`, by key: `(key, digest)`.
pub(super) fn list<R: Row>(from: R::Key, until: R::Key) -> Statement {
    let (name, sql) = &R::queries().list;
    Statement::new(name, sql, &[from.into(), until.into(), limit()])
}

/// These rows: `(key, row, digest)`.
pub(super) fn fetch<R: Row>(keys: &[R::Key]) -> Statement {
    let (name, sql) = &R::queries().fetch;
    let keys: Vec<Param> = keys.iter().copied().map(Into::into).collect();
    Statement::new(name, sql, &[keys.into()])
}

/// How many rows have `from <= key < until`, and the digest of their digests in the keys' order.
pub(super) fn tally<R: Row>(from: R::Key, until: R::Key) -> Statement {
    let (name, sql) = &R::queries().tally;
    Statement::new(name, sql, &[from.into(), until.into()])
}

/// The source's clock, with a digest of it and `nonce`: everything else depends on it, so it must be the answer to
/// this very question.
pub(super) fn clock(nonce: u32) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT at, md5(at || ' $1') FROM (SELECT {} AS at) AS clock",
            micros("now()")
        )
    });
    Statement::new("clock", &SQL, &[i64::from(nonce).into()])
}

/// Legs that ended after `after`, by end and id: `(cdr_id, ended_at, digest)`. `floor` keeps the source from reading
/// its whole table.
pub(super) fn list_ended(floor: Uuid, after: (Timestamp, Uuid)) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT CAST(cdr_id AS text), {}, md5({}) FROM cdroutput \
             WHERE cdr_id >= $1 AND cdr_ended_at >= $2 AND (cdr_ended_at > $2 OR cdr_id > $3) \
             AND cdr_ended_at < to_timestamp(253402300800) \
             ORDER BY cdroutput.cdr_ended_at, cdroutput.cdr_id LIMIT $4",
            micros("cdr_ended_at"),
            row(Cdr::COLUMNS)
        )
    });
    let (ended_at, id) = after;
    Statement::new(
        "list_ended",
        &SQL,
        &[floor.into(), ended_at.into(), id.into(), limit()],
    )
}

/// The greatest id of a leg with `from <= cdr_id < until`, or `none`.
pub(super) fn latest_cdr(from: Uuid, until: Uuid) -> Statement {
    const SQL: &str = "SELECT coalesce((SELECT CAST(cdr_id AS text) FROM cdroutput \
         WHERE cdr_id >= $1 AND cdr_id < $2 AND cdr_ended_at IS NOT NULL ORDER BY cdroutput.cdr_id DESC LIMIT 1), 'none')";
    Statement::new("latest_cdr", SQL, &[from.into(), until.into()])
}

/// The latest recording before `at`, or 0: a walk down the keys that reads no more than what is younger.
pub(super) fn first_recording(at: Timestamp) -> Statement {
    const SQL: &str = "SELECT CAST(coalesce((SELECT id_recording FROM recordings WHERE start_time < $1 \
         ORDER BY recordings.id_recording DESC LIMIT 1), 0) AS text)";
    Statement::new("first_recording", SQL, &[at.into()])
}

fn limit() -> Param {
    Param::Integer(i64::try_from(LIST_ROWS).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    /// The text with the long expressions by name.
    fn short(statement: &Statement) -> String {
        statement
            .text()
            .replace(&row(Cdr::COLUMNS), "<cdr>")
            .replace(&row(Recording::COLUMNS), "<recording>")
            .replace(&micros("cdr_ended_at"), "<ended>")
            .replace(&micros("now()"), "<now>")
    }

    #[test]
    fn every_statement_reads_as_it_should() {
        let at: Timestamp = "2025-12-08T21:32:26.706326Z".parse().unwrap();
        let from = id("00000000-01dc-688a-2607-57e500000000");
        let until = id("00000000-01dc-688b-0000-000000000000");
        let statements = [
            clock(7),
            list_ended(from, (at, Uuid::nil())),
            list::<Cdr>(from, until),
            fetch::<Cdr>(&[from, until]),
            tally::<Cdr>(from, until),
            latest_cdr(from, until),
            first_recording(at),
            list::<Recording>(1, 2),
            fetch::<Recording>(&[1, 2]),
            tally::<Recording>(1, 2),
        ];
        let texts: Vec<String> = statements.iter().map(short).collect();
        let bounds = "cdr_id >= '00000000-01dc-688a-2607-57e500000000' \
                      AND cdr_id < '00000000-01dc-688b-0000-000000000000' AND cdr_ended_at IS NOT NULL";
        let expected = [
            "SELECT at, md5(at || ' 7') FROM (SELECT <now> AS at) AS clock".to_owned(),
            "SELECT CAST(cdr_id AS text), <ended>, md5(<cdr>) FROM cdroutput \
             WHERE cdr_id >= '00000000-01dc-688a-2607-57e500000000' \
             AND cdr_ended_at >= to_timestamp(1765229546.706326) \
             AND (cdr_ended_at > to_timestamp(1765229546.706326) \
             OR cdr_id > '00000000-0000-0000-0000-000000000000') \
             AND cdr_ended_at < to_timestamp(253402300800) \
             ORDER BY cdroutput.cdr_ended_at, cdroutput.cdr_id LIMIT 2000"
                .to_owned(),
            format!(
                "SELECT CAST(cdr_id AS text), md5(<cdr>) FROM cdroutput WHERE {bounds} ORDER BY cdroutput.cdr_id LIMIT 2000"
            ),
            "SELECT CAST(cdr_id AS text), line, md5(line) FROM (SELECT cdr_id, <cdr> AS line FROM cdroutput \
             WHERE cdr_id IN ('00000000-01dc-688a-2607-57e500000000', '00000000-01dc-688b-0000-000000000000') \
             AND cdr_ended_at IS NOT NULL) AS listed ORDER BY listed.cdr_id, line"
                .to_owned(),
            format!(
                "SELECT CAST(count(*) AS text), md5(coalesce(string_agg(digest, '' ORDER BY cdr_id, digest), '')) \
                 FROM (SELECT cdr_id, md5(<cdr>) AS digest FROM cdroutput WHERE {bounds}) AS listed"
            ),
            format!(
                "SELECT coalesce((SELECT CAST(cdr_id AS text) FROM cdroutput WHERE {bounds} \
                 ORDER BY cdroutput.cdr_id DESC LIMIT 1), 'none')"
            ),
            "SELECT CAST(coalesce((SELECT id_recording FROM recordings \
             WHERE start_time < to_timestamp(1765229546.706326) \
             ORDER BY recordings.id_recording DESC LIMIT 1), 0) AS text)"
                .to_owned(),
            "SELECT CAST(id_recording AS text), md5(<recording>) FROM recordings \
             WHERE id_recording >= 1 AND id_recording < 2 AND cdr_id IS NOT NULL \
             ORDER BY recordings.id_recording LIMIT 2000"
                .to_owned(),
            "SELECT CAST(id_recording AS text), line, md5(line) FROM (SELECT id_recording, <recording> AS line \
             FROM recordings WHERE id_recording IN (1, 2) AND cdr_id IS NOT NULL) AS listed \
             ORDER BY listed.id_recording, line"
                .to_owned(),
            "SELECT CAST(count(*) AS text), \
             md5(coalesce(string_agg(digest, '' ORDER BY id_recording, digest), '')) \
             FROM (SELECT id_recording, md5(<recording>) AS digest FROM recordings \
             WHERE id_recording >= 1 AND id_recording < 2 AND cdr_id IS NOT NULL) AS listed"
                .to_owned(),
        ];
        assert_eq!(texts, expected);
        for statement in &statements {
            assert!(!statement.text().contains("::"), "{}", statement.name());
        }
    }

    #[test]
    fn a_row_is_one_array_of_text_with_every_column_in_order() {
        assert_eq!(
            row(Recording::COLUMNS),
            format!(
                "CAST(json_build_array(CAST(id_recording AS text), CAST(cdr_id AS text), \
                 CAST(recording_url AS text), {}, {}, CAST(archived AS text), CAST(archived_url AS text)) AS text)",
                micros("start_time"),
                micros("end_time")
            )
        );
        let cdr = row(Cdr::COLUMNS);
        let mut rest = cdr.as_str();
        for column in Cdr::COLUMNS {
            let at = rest.find(column.name).unwrap();
            rest = &rest[at + column.name.len()..];
        }
    }
}
