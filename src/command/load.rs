//! `mege-gateway load`.

use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::PathBuf;

use awc::ClientRequest;
use awc::error::SendRequestError;
use awc::http::{Method, header};
use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::time::timeout;

use super::gateway_client::{ANSWER_TIMEOUT, GatewayArguments, GatewayClient};
use super::{CommandError, progress_bar, say, stop};
use crate::http_client::never_connected;
use crate::load::{Attempt, Outcome, Party, Plan, Report, Tally, generate};
use crate::telephony::{Extension, PhoneNumber};

/// The most that is read of an answer; the gateway's have less than a kilobyte.
const MAX_ANSWER: usize = 64 * 1024;

/// What to place, and how fast. There is no default for whom to call: these are real calls on a real PBX.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LoadArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    /// The extension that rings first.
    #[arg(long, value_name = "DIGITS", value_parser = extension)]
    extension: Extension,
    /// A number that answers.
    #[arg(long, value_name = "DIGITS", value_parser = number)]
    answer: PhoneNumber,
    /// A number that is busy.
    #[arg(long, value_name = "DIGITS", value_parser = number, requires = "busy_share")]
    busy: Option<PhoneNumber>,
    /// How many of a hundred calls are to the busy number, 0 to 100.
    #[arg(long, value_name = "PERCENT", requires = "busy", value_parser = clap::value_parser!(u8).range(0..=100))]
    busy_share: Option<u8>,
    /// Calls a second, 1 to 10000.
    #[arg(long, value_name = "N", default_value = "10", value_parser = rate)]
    rate: NonZeroU32,
    /// For how many seconds, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    duration: u32,
    /// Requests that may be under way at once, 1 to 1000; what becomes due beyond that is not sent, and counted.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    max_in_flight: u32,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Places calls through a running gateway at a constant rate and says what became of them; Ctrl-C ends it early. Calls
/// that were placed go on.
///
/// # Errors
/// When the configuration or the key cannot be used, or the gateway not be reached at all. Calls that are refused or
/// fail are what is measured.
pub async fn load(file: Option<PathBuf>, arguments: LoadArguments) -> Result<(), CommandError> {
    let plan = arguments.plan();
    let client = GatewayClient::new(&arguments.gateway, file, plan.max_in_flight)?;
    // Any answer will do: it is there, and speaks HTTP.
    let there = client.request(Method::GET, "/livez").send().await;
    there.map_err(|error| client.unreachable(error))?;
    writeln!(
        io::stderr(),
        "placing up to {} calls on {}, {}/s for {} s; Ctrl-C ends it early",
        plan.total(),
        client.url(),
        plan.rate_per_s,
        plan.duration_s
    )?;
    let body = |number: &PhoneNumber| body(&arguments.extension, number);
    let answer = body(&arguments.answer);
    let busy = arguments.busy.as_ref().map_or_else(|| answer.clone(), body);
    let send = |party| {
        let body = match party {
            Party::Answers => answer.clone(),
            Party::Busy => busy.clone(),
        };
        originate(client.request(Method::POST, "/pbx-api/make-call"), body)
    };
    let bar = progress_bar(plan.total());
    let tally = generate(&plan, send, stop()?, |tally| show(&bar, tally)).await;
    bar.finish_and_clear();
    let report = Report::new(&plan, &tally);
    if arguments.json {
        say(&serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    } else {
        say(report.to_string().trim_end())?;
    }
    Ok(())
}

impl LoadArguments {
    fn plan(&self) -> Plan {
        Plan {
            rate_per_s: self.rate,
            duration_s: self.duration,
            max_in_flight: self.max_in_flight as usize,
            busy_percent: self.busy_share.unwrap_or_default(),
        }
    }
}

/// The route takes numbers, which have no zeros before them: what is written here is what is dialled.
fn significant(digits: &str) -> Result<&str, String> {
    match digits.strip_prefix('0') {
        None | Some("") => Ok(digits),
        Some(_) => Err("must not begin with 0: the route make-call takes whole numbers".to_owned()),
    }
}

fn extension(text: &str) -> Result<Extension, String> {
    Extension::parse(significant(text)?, None).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<PhoneNumber, String> {
    let digits = significant(text)?;
    if digits.starts_with('+') {
        return Err("must be 1 to 15 digits, as the route make-call takes them".to_owned());
    }
    PhoneNumber::parse(digits).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = text.parse().ok().filter(|rate: &NonZeroU32| rate.get() <= 10_000);
    rate.ok_or_else(|| "must be 1 to 10000".to_owned())
}

/// What make-call is asked: both are digits that make a JSON number.
fn body(extension: &Extension, number: &PhoneNumber) -> Bytes {
    let whole = |digits: &str| digits.parse::<u64>().unwrap_or_default();
    let body = json!({
        "source_caller_id": whole(number.as_str()),
        "caller_id": whole(extension.as_str()),
    });
    body.to_string().into()
}

/// One call: asked for once, never again.
async fn originate(request: ClientRequest, body: Bytes) -> Attempt {
    let exchange = async {
        let sent = request.content_type("application/json").send_body(body);
        let mut answer = sent.await.map_err(|error| unanswered(&error))?;
        let body = answer.body().limit(MAX_ANSWER).await;
        let body = body.map_err(|_| Outcome::ConnectionLost)?;
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        Ok::<_, Outcome>(Attempt {
            outcome: Outcome::answered(answer.status().as_u16(), &body),
            retry_after_s: retry_after.and_then(|value| value.to_str().ok()?.parse().ok()),
        })
    };
    match timeout(ANSWER_TIMEOUT, exchange).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(outcome)) => outcome.into(),
        Err(_) => Outcome::NoAnswer.into(),
    }
}

fn unanswered(error: &SendRequestError) -> Outcome {
    if never_connected(error) {
        Outcome::NotConnected
    } else if matches!(error, SendRequestError::Timeout) {
        Outcome::NoAnswer
    } else {
        Outcome::ConnectionLost
    }
}

fn show(bar: &ProgressBar, tally: &Tally) {
    bar.set_position(tally.due);
    bar.set_message(format!(
        "{} accepted, {} otherwise, {} not sent",
        tally.accepted,
        tally.ended() - tally.accepted,
        tally.not_sent
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_dialled_as_it_is_written_is_taken() {
        assert_eq!(number("79102223311").unwrap().as_str(), "79102223311");
        assert_eq!(extension("102").unwrap().as_str(), "102");
        assert!(extension("0").is_ok());
        for wrong in ["", "0102", "+79102223311", "1&2", "1e3", "1234567890123456"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0102", "+102", "12345678901"] {
            assert!(extension(wrong).is_err(), "{wrong}");
        }
        assert!(rate("0").is_err() && rate("10001").is_err() && rate("10000").is_ok());
    }

    #[test]
    fn the_body_is_what_make_call_takes() {
        let body = body(&extension("102").unwrap(), &number("123456789012345").unwrap());
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            json!({ "source_caller_id": 123_456_789_012_345_u64, "caller_id": 102 })
        );
    }
}
