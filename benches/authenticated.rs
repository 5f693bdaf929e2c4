//! The throughput of an authenticated GET against a bare actix-web server's, in interleaved pairs.
//!
//! `cargo bench --bench authenticated`; it needs `wrk` and `taskset` (Debian: `apt-get install wrk util-linux`). The load has
//! one CPU, and each subject the other.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use mege_gateway::simulator::{Simulator, SimulatorSettings, simulated_days};
use support::pairs::{Bar, Pace, Spread, Verdict, interleaved};
use support::process::{SUBJECT, Server, free_port, pinned};
use support::wrk::Gets;
use support::{gateway, pairs};

/// Legs in the gateway's store.
const ROWS: usize = 1_000;

/// Connections of the client.
const CONNECTIONS: usize = 32;

/// Makes this program the bare server on the port in it.
const HELLO: &str = "MEGE_BENCH_HELLO";

fn main() {
    if let Ok(port) = std::env::var(HELLO) {
        actix_rt::System::new().block_on(hello(port.parse().expect("a port")));
        return;
    }
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        actix_rt::System::new().block_on(measure(Pace::from_environment()));
    }
}

/// The least that answers.
async fn hello(port: u16) {
    HttpServer::new(|| App::new().route("/", web::get().to(|| async { HttpResponse::Ok().body("hello") })))
        .bind(("127.0.0.1", port))
        .expect("the port")
        .run()
        .await
        .expect("a server");
}

async fn measure(pace: Pace) {
    pairs::say_load();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let simulator = Simulator::start(SimulatorSettings::default())
        .await
        .expect("a simulator");
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(12);
    for appearance in simulated_days(7, start, ROWS) {
        simulator.pbx().insert(&appearance.what).expect("a row");
    }
    let authorization = format!("Bearer {}", gateway::key(folder));
    let pac = simulator.pac_address().to_string();
    let variables = [
        ("PAC_HOST", pac.as_str()),
        ("MEGE__AUTH__RATE__PER_KEY_PER_S", gateway::PER_S),
        ("MEGE__AUTH__RATE__PER_ADDRESS_PER_S", gateway::PER_S),
    ];
    let gateway = server(gateway::PROGRAM, folder, "APP_PORT", &variables);
    let hello = std::env::current_exe().expect("this program");
    let hello = server(hello.to_str().expect("UTF-8"), folder, HELLO, &[]);
    sleep(Duration::from_secs(3));
    let get = |server: &Server, path, authorization| {
        let gets = Gets {
            url: format!("http://127.0.0.1:{}{path}", server.port),
            authorization,
            connections: CONNECTIONS,
            seconds: pace.seconds,
        };
        gets.run().per_second
    };
    let bare = || get(&hello, "/", None);
    bare();
    let same = interleaved(pace.pairs.div_ceil(2), bare, bare);
    pairs::print(&[Verdict {
        what: "A/A: both bare",
        seen: Spread::of(same.iter().map(|(one, other)| other / one)),
        bar: Bar::None,
    }]);
    for (path, bar) in [
        ("/pbx-api/last-call-id", Bar::None),
        ("/status", Bar::AtLeast(0.4)),
    ] {
        let ours = || get(&gateway, path, Some(authorization.as_str()));
        ours();
        let pairs = interleaved(pace.pairs, bare, ours);
        println!("\nGET {path}");
        pairs::print(&[
            Verdict {
                what: "bare, requests a second",
                seen: Spread::of(pairs.iter().map(|(bare, _)| *bare)),
                bar: Bar::None,
            },
            Verdict {
                what: "ours",
                seen: Spread::of(pairs.iter().map(|(_, ours)| *ours)),
                bar: Bar::None,
            },
            Verdict {
                what: "ours / bare",
                seen: Spread::of(pairs.iter().map(|(bare, ours)| ours / bare)),
                bar,
            },
        ]);
    }
}

/// A server on the CPU of what is measured.
fn server(program: &str, folder: &Path, port_variable: &str, variables: &[(&str, &str)]) -> Server {
    let port = free_port();
    let mut command = pinned(SUBJECT, program);
    command
        .current_dir(folder)
        .env(port_variable, port.to_string())
        .envs(variables.iter().copied());
    Server::start(command, port, &folder.join(port_variable))
}
