//! PostgreSQL's functions for SQLite, as far as portable statements need them.
//!
//! A moment is an integer of microseconds since 1970.

use std::sync::Arc;

use md5::{Digest as _, Md5};
use rusqlite::functions::{Aggregate, Context, FunctionFlags, SubType};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::clock::Clock;
use super::format;

/// SQLite's own mark for values that are JSON already.
const JSON: u32 = b'J' as u32;

/// Teaches a connection the functions.
pub(super) fn register(connection: &Connection, clock: Arc<Clock>) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let json = pure | FunctionFlags::SQLITE_SUBTYPE | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    connection.create_scalar_function("now", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        Ok(clock.now().as_microsecond())
    })?;
    connection.create_scalar_function("to_timestamp", 1, pure, |context| {
        let seconds: Option<f64> = context.get(0)?;
        Ok(seconds.map(micros))
    })?;
    connection.create_scalar_function("date_part", 2, pure, |context| {
        let part: String = context.get(0)?;
        let at: Option<i64> = context.get(1)?;
        if part != "epoch" {
            return Err(rusqlite::Error::UserFunctionError(
                format!("unit \"{part}\" not supported").into(),
            ));
        }
        Ok(at.map(seconds))
    })?;
    connection.create_scalar_function("md5", 1, pure, |context| {
        let text: Option<String> = context.get(0)?;
        Ok(text.map(|text| {
            let digest = Md5::digest(text.as_bytes());
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        }))
    })?;
    connection.create_scalar_function("json_build_array", -1, json, |context| {
        let values: Vec<String> = (0..context.len()).map(|index| element(context, index)).collect();
        Ok(as_json(&values))
    })?;
    connection.create_aggregate_function("json_agg", 1, json, JsonAgg)
}

/// An f64 of seconds keeps microseconds until the year 2242.
#[expect(clippy::cast_possible_truncation, reason = "rounded, and far inside i64")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "as PostgreSQL's date_part")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// A value inside JSON: as it is when it is JSON itself.
fn element(context: &Context<'_>, index: usize) -> String {
    let value = context.get_raw(index);
    if let (ValueRef::Text(text), JSON) = (value, context.get_subtype(index)) {
        return String::from_utf8_lossy(text).into_owned();
    }
    format::json(value)
}

fn as_json(elements: &[String]) -> (String, SubType) {
    (format!("[{}]", elements.join(", ")), Some(JSON))
}

/// `json_agg`: NULL over no rows.
struct JsonAgg;

impl Aggregate<Vec<String>, (Option<String>, SubType)> for JsonAgg {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, elements: &mut Vec<String>) -> Result<()> {
        elements.push(element(context, 0));
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        elements: Option<Vec<String>>,
    ) -> Result<(Option<String>, SubType)> {
        Ok(elements.map_or((None, None), |elements| {
            let (text, json) = as_json(&elements);
            (Some(text), json)
        }))
    }
}
