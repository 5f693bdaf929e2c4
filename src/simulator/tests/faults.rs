//! ARI's faults.

use awc::error::SendRequestError;
use futures_util::SinkExt as _;

use super::*;
use crate::simulator::{AriFault, AriOperation, HowOften};

const CALL: &str = "channels/one?endpoint=PJSIP/101@3cx&extension=79000000001";

#[actix_rt::test]
async fn a_request_can_hang_be_slow_fail_or_lose_its_answer() {
    let simulator = start(brisk()).await;
    let asterisk = simulator.asterisk();
    let short = Duration::from_millis(50);

    asterisk.fail(AriOperation::Originate, AriFault::Hang, HowOften::Next(1));
    let hung = request(&simulator, "POST", CALL).timeout(short).send().await;
    assert!(matches!(hung, Err(SendRequestError::Timeout)));
    assert!(asterisk.originates().is_empty(), "it was not carried out");

    asterisk.fail(
        AriOperation::Other,
        AriFault::Delay(short),
        HowOften::UntilCleared,
    );
    let began = tokio::time::Instant::now();
    assert_eq!(ask(&simulator, "GET", "asterisk/ping").await.0, 200);
    assert!(began.elapsed() >= short);
    asterisk.clear_faults();

    asterisk.fail(AriOperation::Originate, AriFault::ServerError, HowOften::Next(1));
    assert_eq!(ask(&simulator, "POST", CALL).await, (500, Value::Null));
    assert!(asterisk.originates().is_empty());

    asterisk.fail(AriOperation::Originate, AriFault::LoseAnswer, HowOften::Next(1));
    assert!(request(&simulator, "POST", CALL).send().await.is_err());
    assert_eq!(asterisk.originates().len(), 1, "it was carried out");
    assert_eq!(asterisk.requests()["POST /channels/{id}"], 3);
}

#[actix_rt::test]
async fn asterisk_can_go_away_and_come_back_on_its_port() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    simulator.asterisk().stop_listening().await;
    assert_eq!(event(&mut socket).await, None);
    assert!(request(&simulator, "GET", "asterisk/ping").send().await.is_err());
    simulator.asterisk().listen_again().unwrap();
    assert_eq!(ask(&simulator, "GET", "asterisk/ping").await.0, 200);
}

#[actix_rt::test]
async fn a_frozen_socket_stays_open_and_answers_no_ping() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw").await;
    socket.send(awc::ws::Message::Ping("a".into())).await.unwrap();
    let pong = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Frame::Pong("a".into()));

    simulator.asterisk().freeze_event_sockets();
    simulator.asterisk().send_raw("never sent");
    let _ = socket.send(awc::ws::Message::Ping("b".into())).await;
    let silence = timeout(Duration::from_millis(100), socket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    // A new socket is sound.
    let mut socket = connect(&simulator, "app=gw").await;
    simulator.asterisk().send_raw("nonsense");
    let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(frame, Frame::Text("nonsense".into()));
}

#[actix_rt::test]
async fn a_reader_that_does_not_read_is_closed() {
    let simulator = start(brisk()).await;
    let mut socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    simulator.asterisk().flood("3cx", 30_000);
    until(async || !simulator.asterisk().is_connected("gw")).await;
    let mut received = 0;
    while event(&mut socket).await.is_some() {
        received += 1;
    }
    assert!(received < 30_000, "{received} events arrived");
}

#[actix_rt::test]
async fn a_reader_that_reads_gets_the_whole_flood_in_order() {
    let simulator = start(SimulatorSettings {
        // A busy machine may keep the reader from reading for a while.
        event_write_timeout: PATIENCE,
        ..brisk()
    })
    .await;
    let mut socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    simulator.asterisk().flood("3cx", 5_000);
    for number in 0..5_000 {
        assert_eq!(event(&mut socket).await.unwrap()["userevent"]["number"], number);
    }
}

#[actix_rt::test]
async fn a_socket_that_is_too_far_behind_is_closed_rather_than_left_with_a_gap() {
    let simulator = start(SimulatorSettings {
        // So that it is not the writer that gives up.
        event_write_timeout: 6 * PATIENCE,
        ..brisk()
    })
    .await;
    let _socket = connect(&simulator, "app=gw&subscribeAll=true").await;
    simulator.asterisk().flood("3cx", 80_000);
    until(async || !simulator.asterisk().is_connected("gw")).await;
}

#[test]
fn a_dropped_simulator_has_closed_its_sockets() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let simulator = runtime.block_on(start(brisk()));
    let addresses = [simulator.ari_address(), simulator.pac_address()];
    for address in addresses {
        std::net::TcpStream::connect(address).unwrap();
    }
    drop(simulator);
    for address in addresses {
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
