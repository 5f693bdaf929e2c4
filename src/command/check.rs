//! `mege-gateway check`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{CommandError, say, settings};
use crate::actor::{Health, Placement};
use crate::ari;
use crate::startup::Stores;
use crate::{pac, settings::Settings};

/// How long each integration may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at an actor's health.
const LOOK: Duration = Duration::from_millis(50);

/// Checks the configuration, then tries each integration without disturbing a gateway that runs: no event socket is
/// opened, no call placed, no CDR collected. The stores are opened as at a start, and their schema brought up to date.
///
/// # Errors
/// When the configuration cannot be used, or something that it names does not work.
pub async fn check(file: Option<PathBuf>) -> Result<(), CommandError> {
    let settings = settings(file)?;
    say("configuration: ok")?;
    let mut works = true;
    let stores = Stores::spawn(&settings, Placement::Dedicated);
    for health in [stores.cdr.health(), stores.ledger.health()] {
        works &= tell(health.name(), usable(health).await)?;
    }
    works &= integrations(&settings).await?;
    if works { Ok(()) } else { Err(CommandError::Check) }
}

async fn integrations(settings: &Settings) -> Result<bool, CommandError> {
    let asterisks = settings.asterisk.iter().map(async |(name, node)| {
        let found = ari::probe(node).await.map_err(|error| error.to_string());
        (format!("asterisk.{name}"), found)
    });
    let pacs = settings.pac.iter().map(async |(name, pbx)| {
        let found = match pac::spawn(name, pbx.clone(), Placement::Dedicated) {
            Ok(handle) => usable(handle.health()).await,
            Err(error) => Err(error.to_string()),
        };
        (format!("pac.{name}"), found)
    });
    let (asterisks, pacs) = futures_util::join!(join_all(asterisks), join_all(pacs));
    let mut works = true;
    for (name, found) in asterisks.into_iter().chain(pacs) {
        works &= tell(&name, found)?;
    }
    Ok(works)
}

/// Waits for an actor to say that it can do its work; its words, if it does not.
async fn usable(health: &Health) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = health.report();
        if report.usable && !report.detail.is_null() {
            return Ok(String::new());
        }
        if Instant::now() >= deadline {
            let error = report
                .detail
                .get("error")
                .or_else(|| report.detail.get("last_error"));
            let words = error.and_then(|error| error.as_str()).map(str::to_owned);
            return Err(words
                .or(report.last_error)
                .unwrap_or_else(|| "no answer".to_owned()));
        }
        sleep(LOOK).await;
    }
}

fn tell(name: &str, found: Result<String, String>) -> io::Result<bool> {
    match &found {
        Ok(words) if words.is_empty() => say(&format!("{name}: ok"))?,
        Ok(words) => say(&format!("{name}: ok ({words})"))?,
        Err(error) => say(&format!("{name}: failed: {error}"))?,
    }
    Ok(found.is_ok())
}
