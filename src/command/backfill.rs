//! `mege-gateway backfill`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::{CommandError, progress_bar, say, settings, stop};
use crate::actor::Placement;
use crate::cdr::collector::{self, BackfillEvent, Backfilled, CollectError, Range};
use crate::integrations::cdr_store;
use crate::settings::{PacSettings, Settings};
use crate::startup::StartError;
use crate::{pac, telemetry};

/// Between two lines where there is no terminal for a progress bar.
const SAY: Duration = Duration::from_secs(5);

/// What to collect.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackfillArguments {
    /// The 3CX, by the name of its section; needed where several are configured and none is named main.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// The first moment: a date (midnight, UTC) or a moment (RFC 3339); collector.backfill_days before the last when not
    /// given.
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Timestamp>,
    /// The moment after the last, likewise; now when not given.
    #[arg(long, value_name = "DATE", value_parser = moment)]
    until: Option<Timestamp>,
}

/// Why a backfill was not done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// It was not said which 3CX, or not one of those that are configured.
    #[error("--pbx must be one of those that are configured: {0}")]
    Pbx(String),
    /// The range ends before it begins, or has not begun.
    #[error("--from must be before --until, and in the past")]
    Range,
    /// PAC or the store failed again and again.
    #[error("it ended early, and the same command goes on from there: {0}")]
    Collect(#[from] CollectError),
    /// Not all rows arrived.
    #[error("{0} hours or thousands of recordings are not complete: the same command tries them again")]
    Incomplete(u64),
    /// By a signal.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

/// Collects the CDRs and recordings of a range into the store, beside a gateway that may run on it. Progress goes to the
/// terminal, if there is one, as a bar; otherwise to standard output, as lines.
///
/// # Errors
/// See [`BackfillError`], and when the configuration cannot be used.
pub async fn backfill(file: Option<PathBuf>, arguments: BackfillArguments) -> Result<(), CommandError> {
    let settings = settings(file)?;
    let BackfillArguments { pbx, from, until } = arguments;
    let (name, pbx) = which(&settings, pbx.as_deref())?;
    let now = Timestamp::now();
    if from.is_some_and(|from| from >= until.unwrap_or(now).min(now)) {
        return Err(BackfillError::Range.into());
    }
    telemetry::init(&settings.log)?;
    let stop = stop()?;
    let cdr = cdr_store(&settings.store, Placement::Dedicated);
    let pac = pac::spawn(name, pbx.clone(), Placement::Dedicated).map_err(StartError::from)?;
    let mut progress = Progress::new(name);
    let range = Range { from, until };
    let work = collector::backfill(name, pbx, pac, cdr, range, |event| progress.show(&event));
    let done = tokio::select! {
        done = work => Some(done),
        () = stop => None,
    };
    progress.bar.finish_and_clear();
    let done = done.ok_or(BackfillError::Stopped)?.map_err(BackfillError::from)?;
    say(&summary(name, &done))?;
    match done.incomplete {
        0 => Ok(()),
        incomplete => Err(BackfillError::Incomplete(incomplete).into()),
    }
}

/// The 3CX that is meant.
fn which<'a>(
    settings: &'a Settings,
    name: Option<&str>,
) -> Result<(&'a str, &'a PacSettings), BackfillError> {
    let pbx = match name {
        Some(name) => settings
            .pac
            .get_key_value(name)
            .map(|(name, pbx)| (name.as_str(), pbx)),
        None => settings.default_pac(),
    };
    pbx.ok_or_else(|| {
        let names: Vec<&str> = settings.pac.keys().map(String::as_str).collect();
        BackfillError::Pbx(if names.is_empty() {
            "there is none".to_owned()
        } else {
            names.join(", ")
        })
    })
}

/// A date or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        "must be a date such as 2026-02-10, which is midnight in UTC, or a moment such as 2026-02-10T08:00:00Z".to_owned()
    };
    // As a date, jiff would take a moment without an offset too, and drop its time.
    if text.len() > "2026-02-10".len() {
        return text.parse().map_err(|_| wrong());
    }
    let date: Date = text.parse().map_err(|_| wrong())?;
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(midnight.timestamp())
}

fn summary(name: &str, done: &Backfilled) -> String {
    let (read, unreadable) = (done.read, done.unreadable);
    let (new, changed) = (done.stored.inserted, done.stored.updated);
    // Rows that appeared between being counted and being listed are new, and not among those that were read.
    let there = read.saturating_sub(new + changed + unreadable);
    let mut text =
        format!("{name}: {read} rows read: {new} stored, {changed} changed, {there} already there");
    if unreadable > 0 {
        text.push_str(&format!(", {unreadable} that cannot be stored"));
    }
    text
}

/// Shows how far it is, as a bar or as lines.
struct Progress {
    name: String,
    bar: ProgressBar,
    range: (Timestamp, Timestamp),
    said_at: Instant,
}

impl Progress {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bar: progress_bar(0),
            range: (Timestamp::MIN, Timestamp::MIN),
            said_at: Instant::now(),
        }
    }

    fn show(&mut self, event: &BackfillEvent<'_>) {
        match event {
            BackfillEvent::Begins { from, until, resumed } => {
                self.range = (*from, *until);
                let range = format!("legs that started from {from} to {until}, and their recordings");
                match resumed {
                    None => self.say(&range),
                    Some(to) => self.say(&format!("goes on with {range}: those from {to} on are done")),
                }
            }
            BackfillEvent::Recordings { done, all } => {
                self.advance(*done, *all, format!("recordings: {done} of {all} compared"));
            }
            BackfillEvent::Legs { to, read } => {
                let (from, until) = self.range;
                let seconds = |at: Timestamp| u64::try_from(until.as_second() - at.as_second()).unwrap_or(0);
                self.advance(
                    seconds(*to),
                    seconds(from),
                    format!("back to {to}: {read} rows read"),
                );
            }
            BackfillEvent::Failed { error, again_in } => {
                self.say(&format!(
                    "failed: {error}; again in {} s",
                    again_in.as_secs().max(1)
                ));
            }
        }
    }

    fn advance(&mut self, done: u64, all: u64, text: String) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.said_at.elapsed() >= SAY {
            self.said_at = Instant::now();
            self.say(&text);
        }
        self.bar.set_message(text);
    }

    fn say(&self, text: &str) {
        // Where nobody reads it, the work goes on.
        let _ = self.bar.suspend(|| say(&format!("{}: {text}", self.name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::Changes;

    #[test]
    fn a_date_is_midnight_in_utc_and_a_moment_needs_its_offset() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(moment("2026-02-10"), Ok(at("2026-02-10T00:00:00Z")));
        assert_eq!(moment("2026-02-10T08:00:00Z"), Ok(at("2026-02-10T08:00:00Z")));
        assert_eq!(
            moment("2026-02-10T08:00:00+03:00"),
            Ok(at("2026-02-10T05:00:00Z"))
        );
        for wrong in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-2-1",
            "2026-02-10T08:00:00",
            "10.02.2026",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_summary_adds_up() {
        let done = Backfilled {
            read: 10,
            stored: Changes {
                inserted: 4,
                updated: 2,
                skipped: 0,
            },
            unreadable: 1,
            incomplete: 0,
        };
        assert_eq!(
            summary("office", &done),
            "office: 10 rows read: 4 stored, 2 changed, 3 already there, 1 that cannot be stored"
        );
    }
}
