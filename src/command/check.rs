//! `mege-gateway check`.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesOrdered;
use tokio::time::{sleep, timeout};

use super::{CommandError, complaint, say, settings};
use crate::actor::{Health, Placement};
use crate::http::Tls;
use crate::ledger::key::ApiKey;
use crate::settings::{RecordingPath, Scheme, Settings};
use crate::startup::StartError;
use crate::{ari, cdr, ledger, pac, recordings};

/// How long each store and integration may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long one that failed may go on trying: the first try of a connection may be unlucky.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Between two looks at an actor's health.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What was found, in words; or what is wrong.
type Found = Result<String, String>;

type Trial<'a> = LocalBoxFuture<'a, (String, Found)>;

/// Checks the configuration, then tries everything that it names, all at the same time, without disturbing a gateway
/// that runs: no event socket is opened, no call placed, no CDR collected, and the stores are only looked at.
///
/// # Errors
/// When the configuration cannot be used, or something that it names does not work.
pub async fn check(file: Option<PathBuf>) -> Result<(), CommandError> {
    let settings = settings(file)?;
    say("configuration: ok")?;
    let mut trials: FuturesOrdered<Trial<'_>> = FuturesOrdered::new();
    trials.push_back(Box::pin(async {
        let schema = answer(cdr::store_schema(&settings.store)).await;
        ("cdr".to_owned(), schema.map(|schema| schema.to_string()))
    }));
    trials.push_back(Box::pin(async {
        let schema = answer(ledger::ledger_schema(&settings.store)).await;
        ("ledger".to_owned(), schema.map(|schema| schema.to_string()))
    }));
    trials.push_back(Box::pin(async { ("keys".to_owned(), keys(&settings).await) }));
    integrations(&settings, &mut trials);
    let mut works = true;
    if settings.http.scheme == Scheme::Https {
        let pair = Tls::load(&settings.http);
        let found = pair.map(|_| String::new()).map_err(|error| error.to_string());
        works &= tell("http.tls", &found)?;
    }
    while let Some((name, found)) = trials.next().await {
        works &= tell(&name, &found)?;
    }
    for (kind, none) in [
        ("asterisk", settings.asterisk.is_empty()),
        ("pac", settings.pac.is_empty()),
    ] {
        if none {
            say(&format!("{kind}: none is configured"))?;
        }
    }
    if works { Ok(()) } else { Err(CommandError::Check) }
}

/// Who will be able to use the gateway.
async fn keys(settings: &Settings) -> Found {
    let unread = |_| "the ledger cannot be read".to_owned();
    let schema = answer(ledger::ledger_schema(&settings.store))
        .await
        .map_err(unread)?;
    let keys = if schema.is_current() {
        answer(ledger::ledger_keys(&settings.store))
            .await
            .map_err(unread)?
    } else if schema.is_empty() {
        // It holds no key, and a look makes nothing.
        Vec::new()
    } else {
        return Ok("not read: the ledger's schema is not up to date".to_owned());
    };
    let live: Vec<&ApiKey> = keys.iter().filter(|key| key.revoked_at.is_none()).collect();
    for entry in &settings.auth.trust {
        if !live.iter().any(|key| key.name == entry.key) {
            return Err(format!(
                "auth.trust names {}, and there is no such key",
                entry.key
            ));
        }
    }
    let address = settings.http.address;
    match live.len() {
        0 if !address.is_loopback() => Err(StartError::NoKeys(address).to_string()),
        0 if keys.is_empty() => {
            Ok("open: no key was ever made, so anybody on this machine may do everything".to_owned())
        }
        0 => Err("every key was revoked, so nobody can use the gateway".to_owned()),
        1 => Ok("1 key".to_owned()),
        live => Ok(format!("{live} keys")),
    }
}

fn integrations<'a>(settings: &'a Settings, trials: &mut FuturesOrdered<Trial<'a>>) {
    for (name, node) in &settings.asterisk {
        trials.push_back(Box::pin(async move {
            (format!("asterisk.{name}"), answer(ari::probe(node)).await)
        }));
    }
    for (name, pbx) in &settings.pac {
        trials.push_back(Box::pin(async move {
            let found = match pac::spawn(name, pbx.clone(), Placement::Dedicated) {
                Ok(handle) => usable(handle.health()).await,
                Err(error) => Err(error.to_string()),
            };
            (format!("pac.{name}"), found)
        }));
        if let Some(RecordingPath::Directory(directory)) = &pbx.recording_path {
            trials.push_back(Box::pin(async move {
                let handle = recordings::spawn(name, directory.clone(), Placement::Dedicated);
                (format!("recordings.{name}"), usable(handle.health()).await)
            }));
        }
    }
}

/// What is answered in time; why not, in words.
async fn answer<T, E: Display>(asked: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Waits for an actor to say that it can do its work; its words, if it does not.
pub(super) async fn usable(health: &Health) -> Found {
    let complaint = || {
        let report = health.report();
        complaint(&report.detail, report.last_error.as_deref()).map(str::to_owned)
    };
    let failed = async {
        while complaint().is_none() {
            sleep(POLL_INTERVAL).await;
        }
        sleep(RETRY_TIME).await;
    };
    let given_up = async {
        let _ = timeout(TIMEOUT, failed).await;
    };
    tokio::select! {
        () = health.became_usable() => Ok(String::new()),
        () = given_up => {
            Err(complaint().unwrap_or_else(|| "no answer in time".to_owned()))
        }
    }
}

fn tell(name: &str, found: &Found) -> io::Result<bool> {
    match found {
        Ok(words) if words.is_empty() => say(&format!("{name}: ok"))?,
        Ok(words) => say(&format!("{name}: ok ({words})"))?,
        Err(error) => say(&format!("{name}: failed: {error}"))?,
    }
    Ok(found.is_ok())
}
