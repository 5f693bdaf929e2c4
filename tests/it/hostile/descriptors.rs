//! More clients than there are descriptors.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{address, honest, metric};
use crate::support::app::LIMIT;
use crate::support::eventually;
use crate::support::program::Program;

/// What a process or thread has used of the processors, in hundredths of a second.
fn used(path: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{path}/stat")).expect("its times");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let fields = fields.split(' ').skip(11).take(2);
    fields.map(|field| field.parse::<u64>().expect("a time")).sum()
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .count()
}

/// Opens connections that say nothing, while a loop beside uses up two seconds of a processor; what the program used meanwhile,
/// as a share of that. The first of the connections stay open.
async fn crowd(to: &str, pid: u32) -> (f64, Vec<TcpStream>) {
    const STAY: usize = 50;
    const LOOP: u64 = 200;
    let before = used(&pid.to_string());
    let beside = std::thread::spawn(|| while used("thread-self") < LOOP {});
    let mut crowd = Vec::new();
    while !beside.is_finished() {
        if crowd.len() < 300
            && let Ok(Ok(socket)) = timeout(Duration::from_millis(50), TcpStream::connect(to)).await
        {
            crowd.push(socket);
        } else {
            sleep(Duration::from_millis(50)).await;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "hundredths of a second, a few")]
    let share = (used(&pid.to_string()) - before) as f64 / LOOP as f64;
    crowd.truncate(STAY);
    (share, crowd)
}

#[actix_rt::test]
async fn connections_leave_descriptors_to_the_rest_and_the_program_recovers() {
    let mut program = Program::serve_with_descriptors(128, &[]);
    let origin = program.origin().await;
    let to = address(&origin);
    honest(to).await;
    let pid = program.pid();
    let (share, crowd) = crowd(to, pid).await;
    assert!(share < 0.3, "{share} of what a loop uses");
    assert!(descriptors(pid) < 128, "{}", descriptors(pid));
    honest(to).await;
    eventually(
        "those that say nothing are ended, and counted",
        LIMIT,
        async || {
            let ended = metric(to, "mege_http_connections_cut_total", "").await;
            (ended >= 50.0).then_some(())
        },
    )
    .await;
    drop(crowd);
    assert!(
        !program.said().contains("Too many open files"),
        "{}",
        program.said()
    );
}

#[actix_rt::test]
async fn each_connection_shows_in_the_metric_of_descriptors() {
    const OPENED: u8 = 20;
    let mut program = Program::serve_with_descriptors(128, &[]);
    let origin = program.origin().await;
    let to = address(&origin);
    assert_eq!(metric(to, "process_max_fds", "").await, 128.0);
    let before = metric(to, "process_open_fds", "").await;
    let mut opened = Vec::new();
    for _ in 0..OPENED {
        opened.push(TcpStream::connect(to).await.expect("a connection"));
    }
    // Accepted in the order in which they came: the request that asks stands behind them all.
    let open = metric(to, "process_open_fds", "").await;
    // The one before may not have been closed yet when it was counted, nor the program's start be quite over.
    assert!(open >= before + f64::from(OPENED / 2), "{before}, then {open}");
    drop(opened);
    let closed = async || {
        let open = metric(to, "process_open_fds", "").await;
        (open <= before + f64::from(OPENED / 4)).then_some(())
    };
    eventually("they are closed, and it says so", LIMIT, closed).await;
}

#[actix_rt::test]
async fn without_any_descriptor_left_it_waits_and_recovers() {
    let mut program = Program::serve(&[]);
    let origin = program.origin().await;
    let to = address(&origin);
    honest(to).await;
    let pid = program.pid();
    let limit = descriptors(pid) + 4;
    program.limit_descriptors(limit);
    let (share, crowd) = crowd(to, pid).await;
    assert!(share < 0.3, "{share} of what a loop uses");
    drop(crowd);
    program.limit_descriptors(1_024);
    eventually("it answers again", LIMIT, async || {
        timeout(Duration::from_secs(10), honest(to)).await.ok()
    })
    .await;
}
