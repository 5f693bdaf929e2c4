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

use crate::cdr::{Cdr, Column, Kind, Recording};
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

static CDR: LazyLock<String> = LazyLock::new(|| row(Cdr::COLUMNS));
static RECORDING: LazyLock<String> = LazyLock::new(|| row(Recording::COLUMNS));

/// A count and a digest over all digests in the keys' order.
fn tally(inner: &str, key: &str) -> String {
    format!(
        "SELECT CAST(count(*) AS text), md5(coalesce(string_agg(digest, '' ORDER BY {key}, digest), '')) \
         FROM ({inner}) AS listed"
    )
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
    Statement::new("clock", &SQL, &[Param::Integer(nonce.into())])
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
            *CDR
        )
    });
    let (ended_at, id) = after;
    let params = [
        Param::Uuid(floor),
        Param::Timestamp(ended_at),
        Param::Uuid(id),
        limit(),
    ];
    Statement::new("list_ended", &SQL, &params)
}

/// Legs with `from <= cdr_id < until`, by id: `(cdr_id, digest)`.
pub(super) fn list_cdrs(from: Uuid, until: Uuid) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT CAST(cdr_id AS text), md5({}) FROM cdroutput \
             WHERE cdr_id >= $1 AND cdr_id < $2 AND cdr_ended_at IS NOT NULL ORDER BY cdroutput.cdr_id LIMIT $3",
            *CDR
        )
    });
    Statement::new(
        "list_cdrs",
        &SQL,
        &[Param::Uuid(from), Param::Uuid(until), limit()],
    )
}

/// These legs: `(cdr_id, row, digest)`.
pub(super) fn fetch_cdrs(ids: Vec<Uuid>) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT CAST(cdr_id AS text), line, md5(line) FROM (SELECT cdr_id, {} AS line FROM cdroutput \
             WHERE cdr_id IN ($1) AND cdr_ended_at IS NOT NULL) AS listed ORDER BY listed.cdr_id, line",
            *CDR
        )
    });
    Statement::new("fetch_cdrs", &SQL, &[Param::Uuids(ids)])
}

/// How many legs have `from <= cdr_id < until`, and the digest of their digests.
pub(super) fn tally_cdrs(from: Uuid, until: Uuid) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let inner = format!(
            "SELECT cdr_id, md5({}) AS digest FROM cdroutput \
             WHERE cdr_id >= $1 AND cdr_id < $2 AND cdr_ended_at IS NOT NULL",
            *CDR
        );
        tally(&inner, "cdr_id")
    });
    Statement::new("tally_cdrs", &SQL, &[Param::Uuid(from), Param::Uuid(until)])
}

/// The greatest id of a leg with `from <= cdr_id < until`, or `none`.
pub(super) fn latest_cdr(from: Uuid, until: Uuid) -> Statement {
    const SQL: &str = "SELECT coalesce((SELECT CAST(cdr_id AS text) FROM cdroutput \
         WHERE cdr_id >= $1 AND cdr_id < $2 AND cdr_ended_at IS NOT NULL ORDER BY cdroutput.cdr_id DESC LIMIT 1), 'none')";
    Statement::new("latest_cdr", SQL, &[Param::Uuid(from), Param::Uuid(until)])
}

/// The latest recording before `at`, or 0: a walk down the keys that reads no more than what is younger.
pub(super) fn first_recording(at: Timestamp) -> Statement {
    const SQL: &str = "SELECT CAST(coalesce((SELECT id_recording FROM recordings WHERE start_time < $1 \
         ORDER BY recordings.id_recording DESC LIMIT 1), 0) AS text)";
    Statement::new("first_recording", SQL, &[Param::Timestamp(at)])
}

/// Recordings with `from <= id_recording < until`, by number: `(id_recording, digest)`. Those without a leg's id
/// are of older versions of 3CX and belong to no CDR.
pub(super) fn list_recordings(from: i64, until: i64) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT CAST(id_recording AS text), md5({}) FROM recordings \
             WHERE id_recording >= $1 AND id_recording < $2 AND cdr_id IS NOT NULL \
             ORDER BY recordings.id_recording LIMIT $3",
            *RECORDING
        )
    });
    let params = [Param::Integer(from), Param::Integer(until), limit()];
    Statement::new("list_recordings", &SQL, &params)
}

/// These recordings: `(id_recording, row, digest)`.
pub(super) fn fetch_recordings(numbers: Vec<i64>) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT CAST(id_recording AS text), line, md5(line) FROM (SELECT id_recording, {} AS line \
             FROM recordings WHERE id_recording IN ($1) AND cdr_id IS NOT NULL) AS listed \
             ORDER BY listed.id_recording, line",
            *RECORDING
        )
    });
    Statement::new("fetch_recordings", &SQL, &[Param::Integers(numbers)])
}

/// How many recordings have `from <= id_recording < until`, and the digest of their digests.
pub(super) fn tally_recordings(from: i64, until: i64) -> Statement {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let inner = format!(
            "SELECT id_recording, md5({}) AS digest FROM recordings \
             WHERE id_recording >= $1 AND id_recording < $2 AND cdr_id IS NOT NULL",
            *RECORDING
        );
        tally(&inner, "id_recording")
    });
    Statement::new(
        "tally_recordings",
        &SQL,
        &[Param::Integer(from), Param::Integer(until)],
    )
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
            .replace(CDR.as_str(), "<cdr>")
            .replace(RECORDING.as_str(), "<recording>")
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
            list_cdrs(from, until),
            fetch_cdrs(vec![from, until]),
            tally_cdrs(from, until),
            latest_cdr(from, until),
            first_recording(at),
            list_recordings(1, 2),
            fetch_recordings(vec![1, 2]),
            tally_recordings(1, 2),
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
            *RECORDING,
            format!(
                "CAST(json_build_array(CAST(id_recording AS text), CAST(cdr_id AS text), \
                 CAST(recording_url AS text), {}, {}, CAST(archived AS text), CAST(archived_url AS text)) AS text)",
                micros("start_time"),
                micros("end_time")
            )
        );
        let mut rest = CDR.as_str();
        for column in Cdr::COLUMNS {
            let at = rest.find(column.name).unwrap();
            rest = &rest[at + column.name.len()..];
        }
    }
}
