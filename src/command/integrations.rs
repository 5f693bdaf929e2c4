//! `mege-gateway integrations`.

use std::path::PathBuf;

use awc::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::gateway_client::{GatewayArguments, GatewayClient};
use super::{CommandError, complaint, say};
use crate::actor::{BreakerState, Load, Restarted, State};
use crate::http::{ActorStatus, Integration, IntegrationList};
use crate::printable::one_line;

/// The most that is read of an answer: an integration takes a few kilobytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// The table's columns.
const COLUMNS: [&str; 9] = [
    "NAME",
    "STATE",
    "SINCE",
    "USABLE",
    "IN FLIGHT",
    "WAITING",
    "BREAKERS",
    "RESTARTS",
    "LAST ERROR",
];

/// What is done about integrations, and where.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct IntegrationsArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    /// Print what the gateway answers, as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// A table of all integrations when nothing is said.
    #[command(subcommand)]
    what: Option<What>,
}

/// What is done about one integration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum What {
    /// Show everything that is known of one.
    Show(Name),
    /// Restart one: work in flight gets 5 s to end, and the others notice nothing.
    Restart(Name),
    /// Have one refuse all work but hang-ups until it is resumed, or the gateway restarted.
    Pause(Name),
    /// Let work in again.
    Resume(Name),
}

/// Which one.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
struct Name {
    /// Its name, such as asterisk.main, pac.main, collector.main, recordings.main, cdr or ledger.
    #[arg(value_name = "NAME")]
    name: String,
}

/// Why something about integrations was not done.
#[derive(Debug, thiserror::Error)]
pub enum IntegrationsError {
    /// The gateway refused.
    #[error("{url} refused: {detail} ({code})")]
    Refused {
        /// The gateway.
        url: String,
        /// Its words.
        detail: String,
        /// The code of the error, or the status where there is none.
        code: String,
    },
    /// What answers is no gateway of ours, or of another version.
    #[error("{url} answered what makes no sense: {error}")]
    Nonsense {
        /// What answers.
        url: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// It does not run after the restart.
    #[error("{name} was restarted and is {state}")]
    NotRunning {
        /// The integration.
        name: String,
        /// Its state.
        state: &'static str,
    },
}

#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    code: String,
}

/// Asks a running gateway.
///
/// # Errors
/// When the configuration or the key cannot be used, the gateway not be reached, or it refuses.
pub async fn integrations(
    file: Option<PathBuf>,
    arguments: IntegrationsArguments,
) -> Result<(), CommandError> {
    let client = GatewayClient::new(&arguments.gateway, file, 1)?;
    let path = |name: &Name, verb: &str| {
        let name = utf8_percent_encode(&name.name, NON_ALPHANUMERIC);
        format!("/v1/integrations/{name}{verb}")
    };
    let (method, path) = match &arguments.what {
        None => (Method::GET, "/v1/integrations".to_owned()),
        Some(What::Show(name)) => (Method::GET, path(name, "")),
        Some(What::Restart(name)) => (Method::POST, path(name, "/restart")),
        Some(What::Pause(name)) => (Method::POST, path(name, "/pause")),
        Some(What::Resume(name)) => (Method::POST, path(name, "/resume")),
    };
    let answer = ask(&client, method, &path).await?;
    let read = |error| IntegrationsError::Nonsense {
        url: client.url().to_owned(),
        error,
    };
    let whole: Value = serde_json::from_slice(&answer).map_err(read)?;
    if arguments.json {
        say(&format!("{whole:#}"))?;
    }
    let text = match &arguments.what {
        None => {
            let list: IntegrationList = serde_json::from_slice(&answer).map_err(read)?;
            table(&list.integrations)
        }
        Some(What::Show(_)) => {
            let shown: Integration = serde_json::from_slice(&answer).map_err(read)?;
            format!("{}\n{whole:#}", table(std::slice::from_ref(&shown)))
        }
        Some(What::Restart(Name { name })) => {
            let restarted: Restarted = serde_json::from_slice(&answer).map_err(read)?;
            if restarted.state != State::Running {
                let (name, state) = (name.clone(), restarted.state.as_str());
                return Err(IntegrationsError::NotRunning { name, state }.into());
            }
            told(name, &restarted)
        }
        Some(What::Pause(Name { name })) => format!("{name} is paused"),
        Some(What::Resume(Name { name })) => format!("{name} is resumed"),
    };
    if !arguments.json {
        say(&text)?;
    }
    Ok(())
}

async fn ask(client: &GatewayClient, method: Method, path: &str) -> Result<bytes::Bytes, CommandError> {
    let sent = client.request(method, path).send().await;
    let mut answer = sent.map_err(|error| client.unreachable(error))?;
    let body = answer.body().limit(MAX_ANSWER).await;
    let body = body.map_err(|error| client.unreachable(error))?;
    if answer.status().is_success() {
        return Ok(body);
    }
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
        detail: "without a word".to_owned(),
        code: answer.status().to_string(),
    });
    let Problem { detail, code } = problem;
    let url = client.url().to_owned();
    Err(IntegrationsError::Refused { url, detail, code }.into())
}

fn told(name: &str, restarted: &Restarted) -> String {
    let mut text = format!("{name} runs again after {} ms", restarted.took_ms);
    if restarted.unfinished > 0 {
        text.push_str(&format!(
            "; {} requests in flight were interrupted",
            restarted.unfinished
        ));
    }
    if restarted.thread_left_behind {
        text.push_str("; its old thread hangs and was left behind");
    }
    text
}

/// Each integration on a line, the columns below each other.
fn table(integrations: &[Integration]) -> String {
    let rows: Vec<[String; 9]> = std::iter::once(COLUMNS.map(str::to_owned))
        .chain(integrations.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 9] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let line = |row: &[String; 9]| {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        line.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(integration: &Integration) -> [String; 9] {
    let ActorStatus { report, operations } = &integration.status;
    let sum = |count: fn(&Load) -> usize| operations.iter().map(count).sum::<usize>();
    let in_flight = sum(|load| load.in_flight);
    let limit = sum(|load| load.limits.in_flight);
    let unwell = operations
        .iter()
        .filter(|load| load.breaker != BreakerState::Closed);
    let unwell: Vec<String> = unwell
        .map(|load| format!("{} {}", load.class.as_str(), load.breaker.as_str()))
        .collect();
    // A collector is asked nothing.
    let asked = |cell: String| {
        if operations.is_empty() {
            "-".to_owned()
        } else {
            cell
        }
    };
    let breakers = if unwell.is_empty() {
        "closed".to_owned()
    } else {
        unwell.join(", ")
    };
    let paused = report.paused_since.map_or("", |_| ", paused");
    let error = complaint(&report.detail, report.last_error.as_deref()).unwrap_or("-");
    [
        integration.name.clone(),
        format!("{}{paused}", report.state.as_str()),
        format!("{:.0}", report.since),
        if report.is_usable() { "yes" } else { "no" }.to_owned(),
        asked(format!("{in_flight}/{limit}")),
        asked(sum(|load| load.waiting).to_string()),
        asked(breakers),
        report.restarts.to_string(),
        one_line(error).into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn integration(changes: &Value) -> Integration {
        let mut whole = json!({
            "name": "asterisk.main", "state": "running", "since": "2026-11-22T10:00:00.5Z", "usable": true,
            "restarts": 0, "panics": 0, "detail": {}, "blocked_threads": 0,
            "operations": [
                {"class": "read", "in_flight": 1, "waiting": 0, "limits": {"in_flight": 8, "waiting": 64, "wait_ms": 1000}, "breaker": "closed"},
                {"class": "originate", "in_flight": 8, "waiting": 3, "limits": {"in_flight": 8, "waiting": 64, "wait_ms": 1000}, "breaker": "closed"},
            ],
        });
        for (key, value) in changes.as_object().unwrap() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_row_says_at_a_glance_what_is_wrong() {
        let well = row(&integration(&json!({})));
        let expected = [
            "asterisk.main",
            "running",
            "2026-11-22T10:00:00Z",
            "yes",
            "9/16",
            "3",
            "closed",
            "0",
            "-",
        ];
        assert_eq!(well, expected);
        let paused = row(&integration(&json!({"paused_since": "2026-11-22T10:00:00Z"})));
        assert_eq!(
            (paused[1].as_str(), paused[3].as_str()),
            ("running, paused", "no")
        );
        let failed = row(&integration(&json!({
            "state": "failed", "last_error": "panic in actor: a\nb", "operations": [],
        })));
        assert_eq!(
            (failed[6].as_str(), failed[8].as_str()),
            ("-", "panic in actor: a\\nb")
        );
        let away = row(&integration(&json!({
            "usable": false, "detail": {"error": "connection refused"}, "last_error": "an earlier one",
        })));
        assert_eq!((away[3].as_str(), away[8].as_str()), ("no", "connection refused"));
        let mut open = integration(&json!({}));
        open.status.operations[1].breaker = BreakerState::Open;
        assert_eq!(row(&open)[6], "originate open");
    }

    #[test]
    fn the_columns_stand_below_each_other() {
        let table = table(&[
            integration(&json!({"name": "cdr"})),
            integration(&json!({"name": "recordings.a-long-name"})),
        ]);
        let columns: Vec<_> = table
            .lines()
            .map(|line| line.find(" running ").or(line.find(" STATE ")))
            .collect();
        assert!(
            columns[0].is_some() && columns.iter().all(|column| *column == columns[0]),
            "{table}"
        );
    }
}
