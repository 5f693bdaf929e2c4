//! How many CDR requests a gateway answers while its Asterisk is a black hole with 500 originates waiting for it, beside
//! the same without, in interleaved pairs.
//!
//! `cargo bench --bench isolation`; it needs `wrk` and `taskset` (Debian: `apt-get install wrk util-linux`). The load and the
//! black hole have one processor, the gateway has the other.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/fake_ari.rs"]
mod fake_ari;
#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/gateway.rs"]
mod gateway;
#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/pairs.rs"]
mod pairs;
#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/process.rs"]
mod process;
#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/wrk.rs"]
mod wrk;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use gateway::{Asterisk, Gateway};
use pairs::{Bar, Pace, Spread, Verdict, interleaved};
use wrk::Posts;

/// Originates that hang: as many in flight as may be, the others waiting for those.
const HANGING: usize = 500;
const IN_FLIGHT: usize = 8;

/// How long the black hole takes for an answer.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// What hangs has all the time that there is.
const VARIABLES: [(&str, &str); 6] = [
    ("MEGE__LOG__FILTER", "error"),
    ("MEGE__HTTP__TIMEOUT_MS", "600000"),
    // A 3CX that is not there: the store answers for it.
    ("PAC_HOST", "127.0.0.1:9"),
    ("MEGE__ASTERISK__MAIN__REQUEST_TIMEOUT_MS", "60000"),
    ("MEGE__ASTERISK__MAIN__LIMITS__WAITING", "1000"),
    ("MEGE__ASTERISK__MAIN__LIMITS__WAIT_MS", "60000"),
];

/// Connections of the client.
const CONNECTIONS: usize = 16;

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
    let ari = fake_ari::start(FOR_EVER, folder);
    let asterisk = fake_ari::as_asterisk(&ari);
    let alone = || rows_per_second(folder, &asterisk, pace, false);
    let beside = || rows_per_second(folder, &asterisk, pace, true);
    let same = interleaved(pace.pairs.div_ceil(2), alone, alone);
    let pairs = interleaved(pace.pairs, alone, beside);
    let rate = |rates: Vec<f64>| Spread::of(rates);
    pairs::print(&[
        Verdict {
            what: "A/A: both without trouble",
            seen: rate(same.iter().map(|(one, other)| other / one).collect()),
            bar: Bar::None,
        },
        Verdict {
            what: "CDR requests a second without trouble",
            seen: rate(pairs.iter().map(|(alone, _)| *alone).collect()),
            bar: Bar::None,
        },
        Verdict {
            what: "beside 500 originates into a black hole",
            seen: rate(pairs.iter().map(|(_, beside)| *beside).collect()),
            bar: Bar::None,
        },
        Verdict {
            what: "beside the black hole / without",
            seen: rate(pairs.iter().map(|(alone, beside)| beside / alone).collect()),
            bar: Bar::AtLeast(0.95),
        },
    ]);
}

/// CDR requests a second of a gateway of its own; what hangs in it is over before any of it comes to its time-out.
fn rows_per_second(folder: &Path, asterisk: &Asterisk<'_>, pace: Pace, hanging: bool) -> f64 {
    let gateway = Gateway::start(folder, asterisk, &VARIABLES);
    let rows = |seconds| {
        let posts = Posts {
            url: format!("{}/pbx-api/cdr", gateway.url()),
            body: r#"{"call_id":"0"}"#,
            authorization: &gateway.authorization(),
            connections: CONNECTIONS,
            seconds,
        };
        posts.run(folder).per_second
    };
    let hanging = hanging.then(|| hang(&gateway));
    rows(1);
    let rate = rows(pace.seconds);
    if hanging.is_some() {
        all_hang(&gateway);
    }
    rate
}

/// Asks for calls that are never answered; they hang until the connections are dropped, those in flight beyond it.
fn hang(gateway: &Gateway) -> Vec<TcpStream> {
    let body = r#"{"source_caller_id":79102223311,"caller_id":102}"#;
    let request = format!(
        "POST /pbx-api/make-call HTTP/1.1\r\nHost: gateway\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        gateway.authorization(),
        body.len()
    );
    let ask = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.server.port)).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    };
    let hanging = (0..HANGING).map(ask).collect();
    all_hang(gateway);
    hanging
}

/// Waits until all of them hang, if they do not already.
fn all_hang(gateway: &Gateway) {
    gateway.until_actor("all of them hang", |asterisk| {
        let originates = &asterisk["operations"][0];
        originates["in_flight"] == IN_FLIGHT
            && originates["waiting"].as_u64() >= Some((HANGING - IN_FLIGHT) as u64)
    });
}
