//! Recordings beside nginx: files of 1 MiB as fast as they go, and the memory of 200 listeners who seek.
//!
//! `cargo bench --bench recordings`, with nginx and taskset installed (Debian: `apt-get install nginx-light util-linux`).
//! Each server has a core to itself with one worker, and the clients have the other.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

#[expect(dead_code, reason = "other benchmarks need all of it")]
#[path = "support/mod.rs"]
mod support;

#[path = "recordings/client.rs"]
mod client;
#[path = "recordings/servers.rs"]
mod servers;

use std::time::Duration;

use actix_rt::SystemRunner;
use client::{Link, download, listen};
use servers::{FILE, Gateway, Nginx, Place};
use support::pairs;
use support::pairs::{Bar, Spread, Verdict, interleaved};
use tokio::time::{Instant, sleep};

/// Pairs of runs, and the files of each run, by so many connections.
const PAIRS: usize = 7;
const FILES: usize = 3_000;
const CONNECTIONS: usize = 8;

/// Who listens, how long, and how often the memory is looked at.
const LISTENERS: usize = 200;
const LISTENING: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --all-targets` runs this too: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    servers::pin_this_process();
    pairs::say_load();
    let system = actix_rt::System::new();
    let place = Place::new();
    let nginx = Nginx::start(&place);
    let gateway = system.block_on(Gateway::start(&place));
    throughput(&system, &nginx.links(), &gateway.links);
    drop(nginx);
    system.block_on(memory(&gateway));
}

fn throughput(system: &SystemRunner, nginx: &[Link], gateway: &[Link]) {
    let nginx = || system.block_on(run(nginx));
    let gateway = || system.block_on(run(gateway));
    // Both are warm before they are measured.
    nginx();
    gateway();
    let pairs = interleaved(PAIRS, nginx, gateway);
    println!(
        "files of {} KiB, {CONNECTIONS} connections, {PAIRS} pairs of {FILES} files; MiB/s",
        FILE / 1024
    );
    pairs::print(&[
        Verdict {
            what: "nginx, sendfile",
            seen: Spread::of(pairs.iter().map(|(nginx, _)| *nginx)),
            bar: Bar::None,
        },
        Verdict {
            what: "gateway",
            seen: Spread::of(pairs.iter().map(|(_, gateway)| *gateway)),
            bar: Bar::None,
        },
        Verdict {
            what: "gateway / nginx",
            seen: Spread::of(pairs.iter().map(|(nginx, gateway)| gateway / nginx)),
            bar: Bar::AtLeast(0.7),
        },
    ]);
}

/// One run: MiB in a second.
#[expect(clippy::cast_precision_loss, reason = "bytes, far below 2^52")]
async fn run(links: &[Link]) -> f64 {
    let begun = Instant::now();
    let connections = (0..CONNECTIONS).map(|first| {
        let links: Vec<Link> = (first..FILES)
            .step_by(CONNECTIONS)
            .map(|file| links[file % links.len()].clone())
            .collect();
        tokio::spawn(async move { download(&links, FILE).await })
    });
    for connection in connections.collect::<Vec<_>>() {
        connection.await.expect("no panic");
    }
    (FILES * FILE) as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64()
}

async fn memory(gateway: &Gateway) {
    let before = gateway.server.resident();
    let until = Instant::now() + LISTENING;
    let listeners: Vec<_> = (0..LISTENERS)
        .map(|number| {
            let link = gateway.links[number % gateway.links.len()].clone();
            tokio::spawn(listen(link, FILE as u64, until))
        })
        .collect();
    println!("{LISTENERS} listeners, each seeking again and again; resident memory in kB");
    println!("before       {before:>8}");
    while Instant::now() + LOOK <= until {
        sleep(LOOK).await;
        let passed = LISTENING - until.duration_since(Instant::now());
        println!(
            "after {:>3.0} s  {:>8}",
            passed.as_secs_f64(),
            gateway.server.resident()
        );
    }
    let mut parts = 0;
    for listener in listeners {
        parts += listener.await.expect("each was answered with its part");
    }
    println!("{parts} parts were asked for, and each came");
}
