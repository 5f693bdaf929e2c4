//! How many calls a second one Asterisk is asked for by a gateway whose other Asterisk is a black hole with 500 originates
//! waiting for it, beside the same without, in interleaved pairs.
//!
//! `cargo bench --bench isolation`; it needs `wrk` and `taskset` (Debian: `apt-get install wrk util-linux`). The load and both
//! Asterisks have one processor, the gateway has the other. It is the gateway's library in a process of this program: no
//! route leads to a second Asterisk, so what hangs is asked of its actor.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod support;

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use mege_gateway::actor::Placement;
use mege_gateway::ari::{AriHandle, Originate};
use mege_gateway::call::{CallId, RequestedBy};
use mege_gateway::settings::{Settings, Sources};
use mege_gateway::startup::Application;
use mege_gateway::telemetry;
use mege_gateway::telephony::{Extension, PhoneNumber};
use support::gateway::Gateway;
use support::pairs::{Bar, Pace, Spread, Verdict, interleaved};
use support::process::Server;
use support::wrk::Posts;
use support::{fake_ari, pairs};
use tokio::time::Instant;

/// Originates that hang: as many in flight as may be, the others waiting for those.
const HANGING: usize = 500;
const IN_FLIGHT: usize = 8;

/// How long the black hole takes for an answer, and how long it is waited for.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// Makes this program the gateway, with so many originates that hang.
const GATEWAY: &str = "MEGE_BENCH_GATEWAY";

/// What hangs has all the time that there is.
const VARIABLES: [(&str, &str); 10] = [
    ("MEGE__LOG__FILTER", "error"),
    ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", "16"),
    ("MEGE__ASTERISK__A__HOST", "127.0.0.1"),
    ("MEGE__ASTERISK__A__USER", "bench"),
    ("MEGE__ASTERISK__A__PASSWORD", "bench"),
    ("MEGE__ASTERISK__A__TRUNK", "3cx"),
    ("MEGE__ASTERISK__A__CONTEXT", "outgoing"),
    ("MEGE__ASTERISK__A__REQUEST_TIMEOUT_MS", "60000"),
    ("MEGE__ASTERISK__A__LIMITS__WAITING", "1000"),
    ("MEGE__ASTERISK__A__LIMITS__WAIT_MS", "60000"),
];

/// Connections of the client: B has a permit for each.
const CONNECTIONS: usize = 16;

const BODY: &str = r#"{"source_caller_id":79102223311,"caller_id":102}"#;

fn main() {
    if let Ok(hanging) = std::env::var(GATEWAY) {
        actix_rt::System::new().block_on(serve(hanging.parse().expect("a number")));
        return;
    }
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if !fake_ari::serve_if_asked() && std::env::args().any(|argument| argument == "--bench") {
        measure(Pace::from_environment());
    }
}

/// The gateway, as `mege-gateway serve` runs it, with so many originates of `asterisk.a` that hang.
async fn serve(hanging: usize) {
    let settings = Settings::load(&Sources::of_process(None).expect("a folder")).expect("settings");
    telemetry::init(&settings.log).expect("a filter");
    let application = Application::build(settings, Placement::Dedicated)
        .await
        .expect("a start");
    let a = application.integrations().asterisk["a"].clone();
    actix_rt::spawn(async move {
        a.health().became_usable().await;
        for _ in 0..hanging {
            actix_rt::spawn(hang(a.clone()));
        }
    });
    application.run_until(pending()).await.expect("a server");
}

async fn hang(a: AriHandle) {
    let originate = Originate {
        call_id: CallId::mint(),
        requested_by: RequestedBy {
            key: None,
            extension: None,
        },
        extension: Extension::parse("102", None).expect("an extension"),
        number: PhoneNumber::parse("79102223311").expect("a number"),
    };
    // Longer than any run.
    let _ = a.ask(originate, Instant::now() + FOR_EVER).await;
}

fn measure(pace: Pace) {
    pairs::say_load();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let b = fake_ari::start(Duration::ZERO, folder);
    let of_a = folder.join("a");
    std::fs::create_dir(&of_a).expect("a folder");
    let a = fake_ari::start(FOR_EVER, &of_a);
    let alone = || calls_per_second(folder, &a, &b, pace, 0);
    let beside = || calls_per_second(folder, &a, &b, pace, HANGING);
    let same = interleaved(pace.pairs.div_ceil(2), alone, alone);
    let pairs = interleaved(pace.pairs, alone, beside);
    pairs::print(&[
        Verdict {
            what: "A/A: both without trouble",
            seen: Spread::of(same.iter().map(|(one, other)| other / one)),
            bar: Bar::None,
        },
        Verdict {
            what: "originates a second without trouble",
            seen: Spread::of(pairs.iter().map(|(alone, _)| *alone)),
            bar: Bar::None,
        },
        Verdict {
            what: "beside 500 originates into a black hole",
            seen: Spread::of(pairs.iter().map(|(_, beside)| *beside)),
            bar: Bar::None,
        },
        Verdict {
            what: "beside the black hole / without",
            seen: Spread::of(pairs.iter().map(|(alone, beside)| beside / alone)),
            bar: Bar::AtLeast(0.95),
        },
    ]);
}

/// Originates a second on B by a gateway of its own; what hangs in it is over before any of it comes to its time-out. B has
/// to have taken as many as were answered.
fn calls_per_second(folder: &Path, a: &Server, b: &Server, pace: Pace, hanging: usize) -> f64 {
    let (port, hangs) = (a.port.to_string(), hanging.to_string());
    let more = [("MEGE__ASTERISK__A__PORT", port.as_str()), (GATEWAY, &hangs)];
    let variables = [&VARIABLES[..], &more].concat();
    let program = std::env::current_exe().expect("this program");
    let program = program.to_str().expect("UTF-8");
    let gateway = Gateway::start_as(program, folder, &fake_ari::as_asterisk(b), &variables);
    let calls = |seconds| {
        let posts = Posts {
            url: gateway.make_call(),
            body: BODY,
            authorization: &gateway.authorization(),
            connections: CONNECTIONS,
            seconds,
        };
        posts.run(folder)
    };
    all_hang(&gateway, hanging);
    calls(1);
    // What was on its way when those connections were cut reaches B, and is counted, before the rest begins.
    gateway.until_actor("asterisk.main", "what was cut off is over", |b| {
        let originates = &b["operations"][0];
        originates["in_flight"] == 0 && originates["waiting"] == 0
    });
    let before = fake_ari::count(b);
    let posted = calls(pace.seconds);
    let taken = fake_ari::count(b) - before;
    let answered = posted.answered..=posted.answered + CONNECTIONS as u64;
    assert!(
        answered.contains(&taken),
        "{answered:?} were answered, {taken} taken"
    );
    all_hang(&gateway, hanging);
    posted.per_second
}

/// Waits until all of them hang, if they do not already.
fn all_hang(gateway: &Gateway, hanging: usize) {
    gateway.until_actor("asterisk.a", "all of them hang", |a| {
        let originates = &a["operations"][0];
        originates["in_flight"] == hanging.min(IN_FLIGHT)
            && originates["waiting"] == hanging.saturating_sub(IN_FLIGHT)
            && a["usable"] == true
    });
}
