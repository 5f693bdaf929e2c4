//! Three times as many originates as there is room for, open loop: how many are placed, how soon the others are refused,
//! and how long those that are placed take.
//!
//! `cargo bench --bench overload`; it needs `taskset` (Debian: `apt-get install util-linux`). The back end takes 20 ms for an
//! originate and the gateway lets 8 through at once, so there is room for just under 400 a second. The load is
//! `mege-gateway load`, which shares a processor with the back end; the gateway has the other.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::Value;
use support::gateway::Gateway;
use support::pairs::{Bar, Pace, Spread, Verdict};
use support::process::{LOAD, pinned};
use support::{fake_ari, pairs};

/// How long the back end takes, and how many originates it gets at once.
const TAKES: Duration = Duration::from_millis(20);
const IN_FLIGHT: &str = "8";

/// How many may wait for one of those: half as many, and none of them longer than an originate takes.
const WAITING: &str = "4";

/// Rates around the capacity; the peak is the most that is accepted at any of them.
const SEARCH: [u32; 5] = [300, 340, 380, 420, 460];

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if !fake_ari::serve_if_asked() && std::env::args().any(|argument| argument == "--bench") {
        measure(Pace::from_environment());
    }
}

fn measure(pace: Pace) {
    pairs::say_load();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ari = fake_ari::start(TAKES, folder);
    let variables = [
        ("MEGE__LOG__FILTER", "warn"),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", IN_FLIGHT),
        ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", WAITING),
    ];
    let gateway = Gateway::start(folder, &fake_ari::as_asterisk(&ari), &variables);
    let at = |rate: u32| Run::at(&gateway, rate, pace.seconds);

    at(SEARCH[0]);
    let peak = SEARCH
        .map(|rate| (at(rate).accepted_per_s, rate))
        .into_iter()
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .expect("several rates");
    let (capacity, peak_rate) = peak;
    let (calm_rate, storm_rate) = (rounded(capacity * 0.7), rounded(capacity * 3.0));
    let mut rounds = Vec::new();
    for round in 0..pace.pairs {
        let (calm, storm) = if round % 2 == 0 {
            let calm = at(calm_rate);
            (calm, at(storm_rate))
        } else {
            let storm = at(storm_rate);
            (at(calm_rate), storm)
        };
        rounds.push((at(peak_rate), calm, storm));
    }
    gateway.until("all calls have ended", |detail| detail["open_calls"] == 0);

    println!(
        "{} rounds of {} s at each rate: the most that was accepted is {capacity:.0}/s at {peak_rate}/s; 0.7 of it is {calm_rate}/s, three \
         times {storm_rate}/s",
        pace.pairs, pace.seconds
    );
    let storms = |value: fn(&Run) -> f64| Spread::of(rounds.iter().map(|round| value(&round.2)));
    pairs::print(&[
        Verdict {
            what: "accepted at three times the capacity / at the peak",
            seen: Spread::of(
                rounds
                    .iter()
                    .map(|(peak, _, storm)| storm.accepted_per_s / peak.accepted_per_s),
            ),
            bar: Bar::AtLeast(0.9),
        },
        Verdict {
            what: "p99 of refusals at three times the capacity, ms",
            seen: storms(|storm| storm.refused_p99_ms.expect("some were refused")),
            bar: Bar::AtMost(10.0),
        },
        Verdict {
            what: "p99 of the accepted at three times / at 0.7",
            seen: Spread::of(
                rounds
                    .iter()
                    .map(|(_, calm, storm)| storm.accepted_p99_ms / calm.accepted_p99_ms),
            ),
            bar: Bar::AtMost(2.0),
        },
        Verdict {
            what: "not sent in time at three times the capacity, %",
            seen: storms(|storm| storm.not_sent_percent),
            bar: Bar::AtMost(1.0),
        },
        Verdict {
            what: "p99 of the accepted at 0.7, ms",
            seen: Spread::of(rounds.iter().map(|(_, calm, _)| calm.accepted_p99_ms)),
            bar: Bar::None,
        },
        Verdict {
            what: "p99 of the accepted at three times, ms",
            seen: storms(|storm| storm.accepted_p99_ms),
            bar: Bar::None,
        },
    ]);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of at most some thousands"
)]
fn rounded(rate: f64) -> u32 {
    rate.round() as u32
}

/// What `mege-gateway load` said of one run.
#[derive(Debug)]
struct Run {
    accepted_per_s: f64,
    accepted_p99_ms: f64,
    /// None where nothing was refused.
    refused_p99_ms: Option<f64>,
    /// Of a hundred that became due; where there are many, the generator did not keep up.
    not_sent_percent: f64,
}

impl Run {
    fn at(gateway: &Gateway, rate: u32, seconds: u32) -> Self {
        let numbers = ["--extension", "102", "--answer", "79102223311"];
        let done = pinned(LOAD, env!("CARGO_BIN_EXE_mege-gateway"))
            .args(["load", "--json", "--url", &gateway.url()])
            .args(numbers)
            .args(["--max-in-flight", "1000"])
            .args(["--rate", &rate.to_string(), "--duration", &seconds.to_string()])
            .env("MEGE_KEY", &gateway.key)
            .output()
            .expect("the program");
        let said = String::from_utf8_lossy(&done.stdout);
        let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("not JSON: {done:?}"));
        let outcomes = report["outcomes"].as_array().expect("outcomes");
        let expected = |outcome: &Value| outcome["status"] == 200 || outcome["code"] == "saturated";
        assert!(outcomes.iter().all(expected), "accepted or refused: {report}");
        let p99 = |status: u16| {
            let outcome = outcomes.iter().find(|outcome| outcome["status"] == status)?;
            outcome["latency"]["p99_ms"].as_f64()
        };
        let number = |name: &str| report[name].as_f64().expect("a number");
        Self {
            not_sent_percent: 100.0 * number("not_sent") / number("due"),
            accepted_per_s: number("accepted_per_s"),
            accepted_p99_ms: p99(200).expect("some were accepted"),
            refused_p99_ms: p99(503),
        }
    }
}
