//! The latency of make-call with PAC healthy and with 500 requests to PAC hanging, in interleaved pairs.
//!
//! `cargo bench --bench isolation`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use awc::{Client, Connector};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use mege_gateway::actor::{Class, Placement};
use mege_gateway::pac::{ExecuteSql, PacHandle, Statement};
use mege_gateway::settings::{Settings, Sources};
use mege_gateway::simulator::{HowOften, PacFault, PacOperation, Pace, Simulator, SimulatorSettings};
use mege_gateway::startup::Application;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Pairs of runs, and the calls of each run, by so many clients.
const PAIRS: usize = 5;
const CALLS: u64 = 2_000;
const CLIENTS: u64 = 8;

/// Requests to PAC that hang: so many in flight, the others waiting for those.
const HANGING: usize = 500;
const IN_FLIGHT: usize = 64;

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        actix_rt::System::new().block_on(measure());
    }
}

async fn measure() {
    let (mut healthy, mut hanging) = (empty(), empty());
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let pair = (run(false).await, run(true).await);
        ratios.push(ratio(
            pair.1.value_at_quantile(0.99),
            pair.0.value_at_quantile(0.99),
        ));
        healthy.add(&pair.0).expect("the same bounds");
        hanging.add(&pair.1).expect("the same bounds");
    }
    println!("make-call, {CLIENTS} clients, {PAIRS} pairs of {CALLS} calls; microseconds");
    println!("{:<24} {:>8} {:>8} {:>8} {:>8}", "", "p50", "p90", "p99", "max");
    for (name, histogram) in [("PAC healthy", &healthy), ("500 requests to PAC hang", &hanging)] {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|quantile| histogram.value_at_quantile(quantile));
        println!("{name:<24} {p50:>8} {p90:>8} {p99:>8} {:>8}", histogram.max());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "p99 hanging / p99 healthy, median of the pairs: {:.2}",
        ratios[PAIRS / 2]
    );
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}

#[expect(clippy::cast_precision_loss, reason = "microseconds, far below 2^52")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

/// One run on a gateway and a simulator of its own.
async fn run(hang: bool) -> Histogram<u64> {
    let settings = SimulatorSettings {
        pace: Pace::brisk(),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let folder = tempfile::tempdir().expect("a folder");
    let application = Application::build(settings_for(&simulator, folder.path()), Placement::Dedicated);
    let application = application.await.expect("a gateway");
    let url = format!("http://127.0.0.1:{}/pbx-api/make-call", application.port());
    let integrations = application.integrations().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = actix_rt::spawn(application.run_until(async { drop(stopped.await) }));

    until("connected to Asterisk", || {
        integrations.asterisk["main"].health().report().detail["connection"] == "connected"
    })
    .await;
    if hang {
        hang_all(&simulator, &integrations.pac["main"]).await;
    }
    let histogram = load(&url).await;
    if hang {
        assert!(
            waiting(&integrations.pac["main"]) >= IN_FLIGHT,
            "they hung all the while"
        );
    }
    assert_eq!(simulator.asterisk().originates().len() as u64, CALLS);
    // What hangs ends with its connection.
    simulator.pbx().stop_listening().await;
    drop(stop);
    served.await.expect("no panic").expect("an end in order");
    histogram
}

async fn hang_all(simulator: &Simulator, pac: &PacHandle) {
    simulator
        .pbx()
        .fail(PacOperation::ExecuteSql, PacFault::Hang, HowOften::UntilCleared);
    for _ in 0..HANGING {
        let pac = pac.clone();
        let statement = Statement::new("one", "SELECT 1", &[]);
        let deadline = Instant::now() + Duration::from_secs(60);
        actix_rt::spawn(async move { pac.ask(ExecuteSql { statement }, deadline).await });
    }
    until("all of them hang", || waiting(pac) >= IN_FLIGHT).await;
}

fn waiting(pac: &PacHandle) -> usize {
    pac.load_of(Class::Read).map_or(0, |load| load.waiting)
}

/// Places the calls and measures each from request to answer.
async fn load(url: &str) -> Histogram<u64> {
    let client = Client::builder().connector(Connector::new().limit(0)).finish();
    let client = Rc::new(client);
    let clients = (0..CLIENTS).map(|number| {
        let (client, url) = (Rc::clone(&client), url.to_owned());
        async move {
            let mut histogram = empty();
            for call in (number..CALLS).step_by(CLIENTS as usize) {
                let number = 79_000_000_000 + call;
                let body = serde_json::json!({ "source_caller_id": number, "caller_id": 102 });
                let begun = Instant::now();
                let mut reply = client.post(&url).send_json(&body).await.expect("an answer");
                let text = reply.body().await.expect("a body");
                let micros = u64::try_from(begun.elapsed().as_micros()).expect("a while");
                assert!(reply.status().is_success(), "{text:?}");
                histogram.record(micros).expect("within bounds");
            }
            histogram
        }
    });
    let mut all = empty();
    for histogram in join_all(clients).await {
        all.add(histogram).expect("the same bounds");
    }
    all
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    done.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn settings_for(simulator: &Simulator, folder: &std::path::Path) -> Settings {
    let simulated = SimulatorSettings::default();
    let ari = simulator.ari_address();
    let store = format!("sqlite:{}", folder.join("mege.sqlite").display());
    let text = |value: &str| value.to_owned();
    let variables = [
        ("APP_PORT", text("0")),
        ("DATABASE_URL", store),
        ("ASTERISK_ARI_HOST", ari.ip().to_string()),
        ("ASTERISK_ARI_PORT", ari.port().to_string()),
        ("ASTERISK_ARI_CALL_USER", simulated.user),
        ("ASTERISK_ARI_CALL_PASSWORD", simulated.password),
        ("ASTERISK_PBX3CX_TRUNK_ID", simulated.trunks.join(",")),
        ("ASTERISK_PBX3CX_OUTGOING_CONTEXT", text("outgoing")),
        ("PAC_HOST", simulator.pac_address().to_string()),
        ("MEGE__PAC__MAIN__LIMITS__IN_FLIGHT", IN_FLIGHT.to_string()),
        ("MEGE__PAC__MAIN__LIMITS__WAITING", text("1000")),
        ("MEGE__PAC__MAIN__LIMITS__WAIT_MS", text("60000")),
        ("MEGE__PAC__MAIN__REQUEST_TIMEOUT_MS", text("60000")),
        ("MEGE__HTTP__SHUTDOWN_MS", text("1000")),
    ];
    let environment: BTreeMap<_, _> = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let sources = Sources {
        directory: folder.to_owned(),
        file: None,
        environment,
    };
    Settings::load(&sources).expect("settings")
}
