//! PAC's replies, read with suspicion.

use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use super::interface::{CollectError, Source};
use super::queries::{self, LIST_ROWS};
use super::rows::Row;
use crate::cdr::digest;
use crate::pac::Statement;

/// A key and the digest of its row, as a list has them.
pub(super) type Listed<K> = (K, String);

/// How many rows, and the digest of their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) digest: String,
}

/// The rows of a statement that selects `N` columns.
pub(super) async fn columns<const N: usize>(
    source: &impl Source,
    statement: Statement,
) -> Result<Vec<[String; N]>, CollectError> {
    let name = statement.name();
    let rows = source.query(statement).await?.into_iter();
    rows.map(|row| {
        row.try_into()
            .map_err(|_| unexpected(name, "another number of columns"))
    })
    .collect()
}

/// The one row of a statement that selects one.
pub(super) async fn one<const N: usize>(
    source: &impl Source,
    statement: Statement,
) -> Result<[String; N], CollectError> {
    let name = statement.name();
    let mut rows = columns(source, statement).await?;
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        (None | Some(_), _) => Err(unexpected(name, "not one row")),
    }
}

pub(super) fn parse<T: FromStr>(statement: &'static str, text: &str) -> Result<T, CollectError> {
    text.parse()
        .map_err(|_| unexpected(statement, "a value of another type"))
}

pub(super) fn moment(statement: &'static str, text: &str) -> Result<Timestamp, CollectError> {
    Timestamp::from_microsecond(parse(statement, text)?)
        .map_err(|_| unexpected(statement, "a moment out of range"))
}

/// A page of the legs by their end: where each stands in that order, and its digest.
pub(super) async fn ended_page(
    source: &impl Source,
    statement: Statement,
    after: (Timestamp, Uuid),
) -> Result<Vec<((Timestamp, Uuid), String)>, CollectError> {
    let name = statement.name();
    let mut page = Vec::new();
    for [id, ended_at, digest] in columns::<3>(source, statement).await? {
        page.push(((moment(name, &ended_at)?, parse(name, &id)?), digest));
    }
    in_order(name, page.iter().map(|(place, _)| *place), after)?;
    Ok(page)
}

/// The last of a page that is full, so that there may be more behind it.
pub(super) fn last_of_full<T: Copy>(page: &[(T, String)]) -> Option<T> {
    page.last()
        .filter(|_| page.len() == LIST_ROWS)
        .map(|(last, _)| *last)
}

/// A page of rows by their key.
pub(super) async fn key_page<R: Row>(
    source: &impl Source,
    from: R::Key,
    until: R::Key,
) -> Result<Vec<Listed<R::Key>>, CollectError> {
    let statement = queries::list::<R>(from, until);
    let name = statement.name();
    let mut page = Vec::new();
    let mut last = from;
    for [key, digest] in columns::<2>(source, statement).await? {
        let key = parse(name, &key)?;
        if key < last || key >= until {
            return Err(unexpected(name, "rows that were not asked for"));
        }
        last = key;
        page.push((key, digest));
    }
    bounded(name, page.len())?;
    Ok(page)
}

/// The source's clock.
pub(super) async fn clock(source: &impl Source) -> Result<Timestamp, CollectError> {
    let nonce = fastrand::u32(..);
    let statement = queries::clock(nonce);
    let name = statement.name();
    let [at, at_digest] = one(source, statement).await?;
    if digest(&format!("{at} {nonce}")) != at_digest {
        return Err(unexpected(name, "no answer to this question"));
    }
    moment(name, &at)
}

pub(super) async fn tally<R: Row>(
    source: &impl Source,
    from: R::Key,
    until: R::Key,
) -> Result<Tally, CollectError> {
    let statement = queries::tally::<R>(from, until);
    let name = statement.name();
    let [count, tally_digest] = one(source, statement).await?;
    let count = parse(name, &count)?;
    if (count == 0) != (tally_digest == digest("")) {
        return Err(unexpected(name, "a count that contradicts its digest"));
    }
    Ok(Tally {
        count,
        digest: tally_digest,
    })
}

/// Pages follow each other upwards: otherwise a reply that repeats itself would be read for ever.
fn in_order<P: PartialOrd + Copy>(
    statement: &'static str,
    places: impl ExactSizeIterator<Item = P>,
    after: P,
) -> Result<(), CollectError> {
    bounded(statement, places.len())?;
    let mut last = after;
    for (index, place) in places.enumerate() {
        if place < last || (index == 0 && place == last) {
            return Err(unexpected(statement, "rows that were not asked for"));
        }
        last = place;
    }
    Ok(())
}

fn bounded(statement: &'static str, rows: usize) -> Result<(), CollectError> {
    if rows > LIST_ROWS {
        return Err(unexpected(statement, "more rows than asked for"));
    }
    Ok(())
}

pub(super) fn unexpected(statement: &'static str, reason: &'static str) -> CollectError {
    CollectError::Unexpected { statement, reason }
}
