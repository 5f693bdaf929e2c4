//! Originates through the gateway beside nginx as a reverse proxy, both in front of a back end that answers at once, in
//! interleaved pairs.
//!
//! `cargo bench --bench originate_overhead`; it needs `nginx`, `wrk` and `taskset` (Debian: `apt-get install nginx-light wrk
//! util-linux`). The load and the back end have one processor, the gateway and nginx take turns on the other. Through the
//! gateway an originate is checked (key, rate limits, body), gets an id, is tracked to its end and kept in the ledger;
//! nginx hands bytes on.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod support;

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use gateway::Gateway;
use pairs::{Bar, Pace, Spread, Verdict, interleaved};
use process::{SUBJECT, Server, free_port, pinned};
use support::{fake_ari, gateway, pairs, process, wrk};
use wrk::Posts;

/// Connections of the client. The gateway has a permit for each, as nginx has no bound.
const CONNECTIONS: usize = 32;

/// What a client sends, to either.
const BODY: &str = r#"{"source_caller_id":79102223311,"caller_id":102}"#;

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
    let ari = fake_ari::start(Duration::ZERO, folder);
    let nginx = nginx(folder, ari.port);
    // Live calls are those of the last 5 ms: far below any bound on them.
    let in_flight = CONNECTIONS.to_string();
    let variables = [
        ("MEGE__LOG__FILTER", "warn"),
        ("MEGE__ASTERISK__MAIN__LIMITS__IN_FLIGHT", in_flight.as_str()),
    ];
    let gateway = Gateway::start(folder, &fake_ari::as_asterisk(&ari), &variables);
    let authorization = gateway.authorization();
    let posts = |url: String| Posts {
        url,
        body: BODY,
        authorization: &authorization,
        connections: CONNECTIONS,
        seconds: pace.seconds,
    };
    let through = || {
        let before = fake_ari::count(&ari);
        let posted = posts(gateway.make_call()).run(folder);
        gateway.until("all calls have ended", |detail| detail["open_calls"] == 0);
        let placed = fake_ari::count(&ari) - before;
        let sent = posted.answered..=posted.answered + CONNECTIONS as u64;
        assert!(sent.contains(&placed), "{placed} were placed, {sent:?} were sent");
        posted
    };
    let path = format!("/ari/channels/{}", fake_ari::STRAIGHT);
    let to = |port| {
        posts(format!("http://127.0.0.1:{port}{path}"))
            .run(folder)
            .per_second
    };
    let proxied = || to(nginx.port);

    // To warm up, and to see that the back end is not what is measured.
    through();
    proxied();
    let back_end = to(ari.port);
    let same = interleaved(pace.pairs.div_ceil(3), proxied, proxied);
    let (time, calls) = (Cell::new(0), Cell::new(0));
    let counted = || {
        let before = gateway.server.processor_time();
        let posted = through();
        time.set(time.get() + gateway.server.processor_time() - before);
        calls.set(calls.get() + posted.answered);
        posted.per_second
    };
    let found = interleaved(pace.pairs, counted, proxied);

    let ours = Spread::of(found.iter().map(|pair| pair.0));
    let nginx = Spread::of(found.iter().map(|pair| pair.1));
    println!(
        "{} pairs of {} s, {CONNECTIONS} connections; originates a second: back end {back_end:.0}, nginx {:.0}, gateway {:.0}; \
         gateway {} µs of its processor for each",
        pace.pairs,
        pace.seconds,
        nginx.median,
        ours.median,
        time.get() / calls.get()
    );
    pairs::print(&[
        Verdict {
            what: "nginx / nginx (A/A; beyond 0.93 to 1.07: discard)",
            seen: Spread::of(same.iter().map(|pair| pair.0 / pair.1)),
            bar: Bar::None,
        },
        Verdict {
            what: "originates through the gateway / nginx",
            seen: Spread::of(found.iter().map(|pair| pair.0 / pair.1)),
            bar: Bar::AtLeast(0.5),
        },
    ]);
}

/// nginx with one process, so that a kill leaves nothing, and connections to the back end that are kept.
fn nginx(folder: &Path, back_end: u16) -> Server {
    let port = free_port();
    let folder = folder.join("nginx");
    std::fs::create_dir(&folder).expect("a folder");
    let home = folder.to_str().expect("UTF-8");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {home}/{kind};"))
        .join(" ");
    let configuration = format!(
        "daemon off; master_process off; pid {home}/pid; error_log {home}/error.log; \
         events {{ worker_connections 1024; }} \
         http {{ access_log off; keepalive_requests 100000000; {temporary} \
         upstream ari {{ server 127.0.0.1:{back_end}; keepalive 64; keepalive_requests 100000000; }} \
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://ari; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; }} }} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).expect("a file");
    let mut command = pinned(SUBJECT, "nginx");
    command.arg("-c").arg(&file).args(["-p", home]);
    Server::start(command, port, &folder.join("log"))
}
